//! The layout of a server's error (known code, unknown code, trace).

use crate::xenapi::Failure;
use crate::xenapi::codes::parts;

/// The lines of an error, without the last newline.
///
/// Known code: our sentence, then `name: value` a line. Unknown code: the code and its
/// parameters on two lines.
pub fn failure(failure: &Failure) -> String {
    let (message, params) = parts(failure);
    if params.is_empty() {
        return message;
    }
    let lines: Vec<String> =
        params.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{message}\n{}", lines.join("\n"))
}

/// The form `Server_error(CODE, [ p1; p2 ])` that traces and some values contain.
pub fn raised(failure: &Failure) -> String {
    format!("Server_error({}, [ {} ])", failure.code, failure.params.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_names_its_parameters() {
        let text = failure(&Failure::new("UUID_INVALID", ["VM", "nonsense"]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1..], ["type: VM", "uuid: nonsense"]);
    }

    #[test]
    fn missing_and_extra_values_are_marked() {
        let text = failure(&Failure::new("UUID_INVALID", ["VM"]));
        assert!(text.ends_with("\ntype: VM\nuuid: <unknown>"), "{text}");
        let text = failure(&Failure::new("HA_NOT_ENABLED", ["more"]));
        assert!(text.ends_with("\n<extra>: more"), "{text}");
        let text = failure(&Failure::new("VMS_FAILED_TO_COOPERATE", ["a", "b"]));
        assert!(text.ends_with("\nVM: a\nVM: b"), "{text}");
    }

    #[test]
    fn what_only_our_server_says_is_shown_when_it_is_there() {
        let code = "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED";
        assert!(failure(&Failure::new(code, ["sr"])).ends_with("\nSR: sr"));
        let text = failure(&Failure::new(code, ["sr", "web needs it"]));
        assert!(text.ends_with("\nSR: sr\nwhy: web needs it"), "{text}");
    }

    #[test]
    fn s31_an_sr_that_is_too_full_says_what_is_needed_and_free() {
        let code = "SR_SOURCE_SPACE_INSUFFICIENT";
        let text = failure(&Failure::new(code, ["sr", "272629760", "4096"]));
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines, ["sr: sr", "bytes needed: 272629760", "bytes free: 4096"]);
    }

    #[test]
    fn a_sentence_may_name_its_object() {
        let text = failure(&Failure::new("XE_HOST_MEMORY_UNKNOWN", ["u-1", "Phoenix"]));
        let first = text.lines().next().unwrap();
        assert!(first.contains("Phoenix") && first.contains("--host-memory u-1=SIZE"), "{text}");
    }

    #[test]
    fn an_unknown_code_is_two_lines_even_with_empty_parameters() {
        let text = failure(&Failure::new(
            "SR_BACKEND_FAILURE_90",
            ["", "The request is missing the device parameter", ""],
        ));
        assert_eq!(
            text,
            "Error code: SR_BACKEND_FAILURE_90\n\
             Error parameters: , The request is missing the device parameter, "
        );
    }

    #[test]
    fn the_raised_form_keeps_empty_parameters() {
        let failure = Failure::new("SR_BACKEND_FAILURE_202", ["", "text", ""]);
        assert_eq!(raised(&failure), "Server_error(SR_BACKEND_FAILURE_202, [ ; text;  ])");
    }
}

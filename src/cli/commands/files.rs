//! Commands that read or write a file of the client.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::context::Context;
use super::table::Outcome;
use crate::cli::errors::CliError;

fn failed(reason: &str) -> CliError {
    CliError::Client(format!("Operation failed. Error: {reason}"))
}

/// Writes a new file that only its owner can read; an empty name means stdout.
fn save(ctx: &mut Context<'_, '_>, file: &str, bytes: &[u8]) -> Outcome {
    if file.is_empty() {
        ctx.console.bytes(bytes);
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| failed(&format!("{file}: {error}")))
}

/// The query that every file transfer carries.
fn query(ctx: &Context<'_, '_>, task: &str) -> String {
    format!("session_id={}&task_id={task}", ctx.session.reference())
}

/// Runs a transfer under a task of the server's, so that its failure is told by the server.
fn tracked<T>(
    ctx: &mut Context<'_, '_>,
    label: &str,
    transfer: impl FnOnce(&mut Context<'_, '_>, &str) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let task = ctx.text("task.create", &[label.into(), "".into()]).unwrap_or_default();
    let done = transfer(ctx, &task);
    if !task.is_empty() {
        let _ = ctx.session.call("task.destroy", &[task.into()]);
    }
    done
}

/// `pool-dump-database`.
pub fn dump(ctx: &mut Context<'_, '_>) -> Outcome {
    let file = ctx.params.need("file-name")?.to_owned();
    if !file.is_empty() && std::path::Path::new(&file).exists() {
        return Err(failed(&format!("{file}: the file exists already")));
    }
    let bytes = tracked(ctx, "Dump database", |ctx, task| {
        let path = format!("/pool/xmldbdump?{}", query(ctx, task));
        Ok(ctx.session.transport().download(&path)?)
    })?;
    save(ctx, &file, &bytes)?;
    if !file.is_empty() {
        ctx.console.direct("Dump database succeeded\n");
    }
    Ok(())
}

/// `pool-restore-database`.
pub fn restore(ctx: &mut Context<'_, '_>) -> Outcome {
    let file = ctx.params.need("file-name")?.to_owned();
    let dry_run = ctx.params.has("dry-run");
    if !dry_run && !ctx.params.has("force") {
        return Err(CliError::text(
            "restoring a database replaces this pool's whole state. Check it with dry-run=true; \
             This operation must be forced (use --force).",
        ));
    }
    let bytes =
        std::fs::read(&file).map_err(|_| failed(&format!("file '{file}' does not exist")))?;
    tracked(ctx, "Restore database", |ctx, task| {
        let path = format!("/pool/xmldbdump?{}&dry_run={dry_run}", query(ctx, task));
        Ok(ctx.session.transport().upload(&path, &bytes)?)
    })?;
    if dry_run {
        ctx.console.direct("The database can be restored; nothing was changed.\n");
    } else {
        ctx.console.direct("The host will restart with this database in 30.000 seconds...\n");
    }
    Ok(())
}

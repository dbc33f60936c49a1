//! Alerts by e-mail: what happened, what HA did, what to type.
//!
//! The pool's other-config names the receivers (`mail-destination`, with commas between) and the
//! mail server (`ssmtp-mailhub`, `HOST` or `HOST:PORT`); `mail-min-priority` (3) is the least
//! important alert that is mailed, `mail-language` is accepted and English for now,
//! `xe-mail-period` (60) the fewest seconds between two mails. Alerts that come meanwhile wait and
//! go together. Nobody who tells an alert ever waits for a mail server.

pub mod letter;

use super::alerts::RECOVERED;
use super::{Agent, pool_ref};
use crate::pool::Database;
use lettre::message::{Mailboxes, header::ContentType};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many alerts wait at most; of more, the oldest are counted only.
const MOST: usize = 200;
/// How long the alerts of one event are gathered before the first mail.
const GATHER: Duration = Duration::from_secs(2);
/// The fewest seconds between two mails when nothing else is said.
const PERIOD_S: u64 = 60;
/// How long a mail server may take for one step.
const PATIENCE: Duration = Duration::from_secs(10);
/// The least important priority that is mailed when nothing else is said.
const LEAST: i64 = 3;

/// An alert as it is mailed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// Its priority.
    pub priority: i64,
    /// The class of its object as messages spell it.
    pub class: String,
    /// Its object.
    pub uuid: String,
    /// Its body.
    pub body: String,
    /// When it was told, for people.
    pub at: String,
}

/// Alerts that wait to be mailed.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    called: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    alerts: VecDeque<Alert>,
    left_out: usize,
}

impl Outbox {
    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an alert in; never waits.
    pub fn offer(&self, alert: Alert) {
        let mut waiting = self.locked();
        waiting.alerts.push_back(alert);
        if waiting.alerts.len() > MOST {
            waiting.alerts.pop_front();
            waiting.left_out += 1;
        }
        drop(waiting);
        self.called.notify_all();
    }

    /// Waits for an alert, then takes all; gives also how many were left out.
    fn take(&self) -> (Vec<Alert>, usize) {
        let waiting = self.locked();
        let empty = |waiting: &mut Waiting| waiting.alerts.is_empty();
        drop(self.called.wait_while(waiting, empty).unwrap_or_else(PoisonError::into_inner));
        std::thread::sleep(GATHER);
        let mut waiting = self.locked();
        (waiting.alerts.drain(..).collect(), std::mem::take(&mut waiting.left_out))
    }

    /// Puts alerts back that no server took.
    fn put_back(&self, alerts: Vec<Alert>, left_out: usize) {
        let mut waiting = self.locked();
        waiting.left_out += left_out;
        for alert in alerts.into_iter().rev() {
            if waiting.alerts.len() < MOST {
                waiting.alerts.push_front(alert);
            } else {
                waiting.left_out += 1;
            }
        }
    }
}

/// Where mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    to: String,
    server: String,
    port: u16,
    least: i64,
    period: Duration,
}

impl Route {
    /// The route that the pool's other-config gives; none when nobody wants mail.
    fn of(db: &Database) -> Option<Self> {
        let pool = pool_ref(db)?;
        let word = |key: &str| {
            db.key("pool", pool, "other_config", key).map(str::trim).filter(|word| !word.is_empty())
        };
        let number = |key: &str| word(key).and_then(|word| word.parse().ok());
        let (server, port) = address(word("ssmtp-mailhub").unwrap_or("localhost"));
        Some(Self {
            to: word("mail-destination")?.to_owned(),
            server,
            port,
            least: number("mail-min-priority").unwrap_or(LEAST),
            period: Duration::from_secs(
                number("xe-mail-period").and_then(|n| u64::try_from(n).ok()).unwrap_or(PERIOD_S),
            ),
        })
    }

    /// Whether an alert is important enough; a withdrawal is, when its alert was mailed.
    fn takes(&self, alert: &Alert, mailed: &mut BTreeSet<(String, String)>) -> bool {
        if let Some(base) = alert.name.strip_suffix(RECOVERED) {
            return mailed.remove(&(base.to_owned(), alert.uuid.clone()));
        }
        let takes = alert.priority <= self.least;
        if takes && mailed.len() < MOST {
            mailed.insert((alert.name.clone(), alert.uuid.clone()));
        }
        takes
    }
}

/// `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
fn address(hub: &str) -> (String, u16) {
    const SMTP: u16 = 25;
    let (host, port) = match hub.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (hub, None),
    };
    (host.trim_matches(['[', ']']).to_owned(), port.unwrap_or(SMTP))
}

/// Sends what waits. Runs on a thread of its own.
pub fn run(agent: &Arc<Agent>) {
    let mut mailed = BTreeSet::new();
    loop {
        let (mut alerts, left_out) = agent.mail.take();
        let db = agent.store.read();
        let Some(route) = Route::of(&db) else { continue };
        alerts.retain(|alert| route.takes(alert, &mut mailed));
        if alerts.is_empty() {
            continue;
        }
        let outcome = send(agent, &db, &route, &alerts, left_out);
        let why =
            outcome.as_ref().map_or_else(|error| format!("{error:#}"), |()| "sent".to_owned());
        agent.history.note(
            "mail",
            &why,
            serde_json::json!({ "to": route.to, "server": route.server, "alerts": alerts.len() }),
        );
        if outcome.is_err() {
            let names = alerts.iter().filter_map(|alert| {
                Some((alert.name.strip_suffix(RECOVERED)?.to_owned(), alert.uuid.clone()))
            });
            mailed.extend(names);
            agent.mail.put_back(alerts, left_out);
        }
        std::thread::sleep(route.period);
    }
}

fn send(
    agent: &Agent,
    db: &Database,
    route: &Route,
    alerts: &[Alert],
    left_out: usize,
) -> anyhow::Result<()> {
    let plain = |name: &str| -> String {
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
    };
    let host = Some(plain(&agent.config.name)).filter(|name| !name.is_empty());
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let (subject, text) = letter::write(db, alerts, left_out);
    let to: Mailboxes = route.to.parse()?;
    let mut message = Message::builder()
        .from(format!("xe-agent@{host}").parse()?)
        .subject(subject)
        .header(ContentType::TEXT_PLAIN);
    for receiver in to {
        message = message.to(receiver);
    }
    // Plain SMTP to the site's own mail hub, as the peer's ssmtp does.
    let transport = SmtpTransport::builder_dangerous(&route.server)
        .port(route.port)
        .hello_name(ClientId::Domain(host))
        .timeout(Some(PATIENCE))
        .build();
    transport.send(&message.body(text)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_hub_has_a_port_or_not() {
        assert_eq!(address("mail.example"), ("mail.example".to_owned(), 25));
        assert_eq!(address("mail.example:587"), ("mail.example".to_owned(), 587));
        assert_eq!(address("[::1]:2525"), ("::1".to_owned(), 2525));
        assert_eq!(address("::1"), ("::1".to_owned(), 25));
    }

    #[test]
    fn of_too_many_alerts_the_oldest_are_counted_only() {
        let outbox = Outbox::default();
        let alert = |number: usize| Alert { name: number.to_string(), ..Alert::default() };
        (0..MOST + 3).for_each(|number| outbox.offer(alert(number)));
        let (alerts, left_out) = outbox.take();
        assert_eq!((alerts.len(), left_out), (MOST, 3));
        assert_eq!(alerts[0].name, "3");
        outbox.offer(alert(9999));
        outbox.put_back(alerts, left_out);
        let (again, left_out) = outbox.take();
        assert_eq!((again.len(), left_out), (MOST, 4));
        assert_eq!(again.last().unwrap().name, "9999", "the newest stays");
    }
}

//! xe: the XenServer command line and a high-availability pool behind it.
//!
//! | to find | look in |
//! |---|---|
//! | what a person types | [`cli`] |
//! | the language of the API: values, XML-RPC, data model | [`xenapi`] |
//! | a session with a server | [`client`] |
//! | the pool database and dumps | [`pool`] |
//! | who lives: the heartbeat rules | [`heartbeat`] |
//! | switching HA on and off | [`ha`] |
//! | does every failure have a plan? | [`plan`] |
//! | what is restarted, where and when | [`recovery`] |
//! | the daemon that serves the API | [`agent`] |
//! | the daemon that fences | [`xhad`] |
//! | the same daemon under a foreign toolstack | [`clusterstack`] |
//! | the machine: watchdog, disks, hypervisors | [`host`] |
//! | a pool on one machine to play with | [`lab`] |
//! | whole pools in simulated time, from a seed | [`sim`] |
//! | small pools, every order of events | [`explore`] |

pub mod agent;
pub mod applet;
pub mod cli;
pub mod client;
pub mod clusterstack;
pub mod explore;
pub mod ha;
pub mod heartbeat;
pub mod host;
pub mod lab;
pub mod plan;
pub mod pool;
pub mod recovery;
pub mod sim;
pub mod xenapi;
pub mod xhad;

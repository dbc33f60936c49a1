//! Which system calls the daemon may make: those of its loop, its threads, its files and sockets,
//! and no others. It starts no program (see `xhad::spawner`), traces nobody, mounts nothing.
//!
//! A call that is not listed is refused with "not permitted", never ended with a signal: a list
//! that forgot something must not fence a host. The list covers what sessions are started with
//! too, so that it holds from the start of the process and for every thread.

use std::io;

use libc::{c_long, sock_filter};

/// Calls with a number on every machine.
const ALLOWED: &[c_long] = &[
    // Files and sockets.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_ioctl,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_ppoll,
    libc::SYS_eventfd2,
    libc::SYS_signalfd4,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mlockall,
    libc::SYS_munlockall,
    // Threads, signals and time.
    libc::SYS_futex,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    // Itself and the agent.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrandom,
    libc::SYS_prlimit64,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_pidfd_open,
];

/// Older forms of the same, which this machine still has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_readlink,
    libc::SYS_chmod,
    libc::SYS_dup2,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 0xC000_00B7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u32 = 0;

/// Where a call's data stand: its number, its machine, the low half of its first argument.
const NUMBER_AT: u32 = 0;
const MACHINE_AT: u32 = 4;
const FIRST_AT: u32 = if cfg!(target_endian = "little") { 16 } else { 20 };

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

const fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

const fn line(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The number of a call as the kernel shows it.
fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

/// The program that the kernel runs before each call.
fn program() -> Vec<sock_filter> {
    let mut lines = vec![
        line(LOAD, MACHINE_AT, 0, 0),
        line(IF_EQUAL, MACHINE, 1, 0),
        line(RETURN, refuse(libc::EPERM), 0, 0),
        line(LOAD, NUMBER_AT, 0, 0),
    ];
    for call in ALLOWED.iter().chain(OLDER) {
        lines.push(line(IF_EQUAL, number(*call), 0, 1));
        lines.push(line(RETURN, ALLOW, 0, 0));
    }
    // The C library falls back to `clone`, whose arguments can be seen here.
    lines.push(line(IF_EQUAL, number(libc::SYS_clone3), 0, 1));
    lines.push(line(RETURN, refuse(libc::ENOSYS), 0, 0));
    // Threads, not processes.
    lines.push(line(IF_EQUAL, number(libc::SYS_clone), 0, 3));
    lines.push(line(LOAD, FIRST_AT, 0, 0));
    lines.push(line(IF_BITS, libc::CLONE_THREAD as u32, 0, 4));
    lines.push(line(RETURN, ALLOW, 0, 0));
    // The name of a thread, and nothing else of what hides behind that call.
    lines.push(line(IF_EQUAL, number(libc::SYS_prctl), 0, 2));
    lines.push(line(LOAD, FIRST_AT, 0, 0));
    lines.push(line(IF_EQUAL, libc::PR_SET_NAME as u32, 1, 0));
    lines.push(line(RETURN, refuse(libc::EPERM), 0, 0));
    lines.push(line(RETURN, ALLOW, 0, 0));
    lines
}

/// Confines this process for good. To be called while it has one thread; those that it starts
/// inherit it. An error when the kernel cannot, or when it does not refuse what is not listed.
pub fn confine() -> io::Result<()> {
    let mut lines = program();
    let length = u16::try_from(lines.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: lines.as_mut_ptr() };
    // SAFETY: the first call takes numbers; the second reads the program, which is alive.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if refused {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: without flags this call does nothing; it is not listed.
    match unsafe { libc::unshare(0) } {
        0 => Err(io::Error::other("the kernel does not refuse what is not listed")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn verdict(call: c_long, first: u32) -> u32 {
        let lines = program();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let line = &lines[at];
            at += 1;
            match line.code {
                LOAD if line.k == NUMBER_AT => loaded = number(call),
                LOAD if line.k == MACHINE_AT => loaded = MACHINE,
                LOAD => loaded = first,
                IF_EQUAL => at += usize::from(if loaded == line.k { line.jt } else { line.jf }),
                IF_BITS => at += usize::from(if loaded & line.k != 0 { line.jt } else { line.jf }),
                _ => return line.k,
            }
        }
    }

    #[test]
    fn what_is_listed_passes_and_nothing_else() {
        for call in ALLOWED.iter().chain(OLDER) {
            assert_eq!(verdict(*call, 0), ALLOW, "{call}");
        }
        for call in [libc::SYS_execve, libc::SYS_ptrace, libc::SYS_mount, libc::SYS_unshare] {
            assert_eq!(verdict(call, 0), refuse(libc::EPERM), "{call}");
        }
        assert_eq!(verdict(libc::SYS_clone3, 0), refuse(libc::ENOSYS));
    }

    #[test]
    fn threads_start_and_processes_do_not_and_only_names_are_set() {
        let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u32;
        assert_eq!(verdict(libc::SYS_clone, thread), ALLOW);
        assert_eq!(verdict(libc::SYS_clone, libc::SIGCHLD as u32), refuse(libc::EPERM));
        assert_eq!(verdict(libc::SYS_prctl, libc::PR_SET_NAME as u32), ALLOW);
        assert_eq!(verdict(libc::SYS_prctl, libc::PR_SET_DUMPABLE as u32), refuse(libc::EPERM));
    }
}

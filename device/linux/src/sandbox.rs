//! The agent fences itself in: once it runs, it needs a few files, sockets, and no other program.

use std::{collections::BTreeMap, path::Path};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus, path_beneath_rules,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::AgentError;

/// Read by the agent: metrics, name resolution, what the system is called, its own time zone.
const READS: [&str; 9] = [
    "/proc",
    "/sys",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/os-release",
    "/usr/lib",
];

/// System calls by which a program that was taken over would get further: running others, looking into
/// them, changing mounts, kernel or namespaces.
const DENIED: [i64; 20] = [
    59, 322, // execve, execveat
    101, 310, 311, // ptrace, process_vm_readv, process_vm_writev
    165, 166, 155, 161, // mount, umount2, pivot_root, chroot
    272, 308, // unshare, setns
    175, 313, 176, // init_module, finit_module, delete_module
    246, 320, // kexec_load, kexec_file_load
    321, 298, // bpf, perf_event_open
    323, 169, // userfaultfd, reboot
];

/// Confines this process, for good: files to the state directory, the TPM's device file if the key is
/// there, and what is read above (landlock, as far as the kernel has it), system calls to those that the
/// agent needs (seccomp). Gives what holds, in words.
///
/// # Errors
/// When the kernel takes neither.
pub(crate) fn confine(state: &Path, tpm: Option<&Path>) -> Result<String, AgentError> {
    let files = fence_files(state, tpm)?;
    let calls = fence_calls()?;
    Ok(format!("{files}; {calls}"))
}

fn fence_files(state: &Path, tpm: Option<&Path>) -> Result<&'static str, AgentError> {
    let wrong = |error: landlock::RulesetError| AgentError::Sandbox(error.to_string());
    let abi = ABI::V4;
    let used = AccessFs::ReadFile | AccessFs::WriteFile;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(Ruleset::create)
        .map_err(wrong)?
        .add_rules(path_beneath_rules(READS, AccessFs::from_read(abi)))
        .and_then(|rules| rules.add_rules(path_beneath_rules([state], AccessFs::from_all(abi))))
        .and_then(|rules| rules.add_rules(path_beneath_rules(tpm, used)))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(wrong)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => "files fenced in by landlock",
        RulesetStatus::PartiallyEnforced => {
            "files fenced in by landlock, as far as this kernel can"
        }
        RulesetStatus::NotEnforced => "files not fenced in: this kernel has no landlock",
    })
}

#[cfg(target_arch = "x86_64")]
fn fence_calls() -> Result<&'static str, AgentError> {
    let wrong = |error: seccompiler::BackendError| AgentError::Sandbox(error.to_string());
    const EPERM: u32 = 1;
    let rules: BTreeMap<i64, Vec<_>> = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        TargetArch::x86_64,
    )
    .map_err(wrong)?;
    let program: BpfProgram = filter.try_into().map_err(wrong)?;
    seccompiler::apply_filter(&program).map_err(|error| AgentError::Sandbox(error.to_string()))?;
    Ok("system calls fenced in by seccomp")
}

#[cfg(not(target_arch = "x86_64"))]
fn fence_calls() -> Result<&'static str, AgentError> {
    Ok("system calls not fenced in on this processor")
}

//! The roles of the role-based access control.

/// A role; each holds all that the ones before it hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May look.
    ReadOnly,
    /// May start, stop and connect to VMs.
    VmOperator,
    /// May create and change VMs.
    VmAdmin,
    /// May also migrate and snapshot with memory.
    VmPowerAdmin,
    /// May change everything but users.
    PoolOperator,
    /// May do everything.
    PoolAdmin,
}

impl Role {
    /// Reads a role's name; `anyone` and unknown words give none. `+cert` (open to clients with a
    /// certificate too) is accepted and says nothing about the order of roles.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.strip_suffix("+cert").unwrap_or(name) {
            "read-only" => Self::ReadOnly,
            "vm-operator" => Self::VmOperator,
            "vm-admin" => Self::VmAdmin,
            "vm-power-admin" => Self::VmPowerAdmin,
            "pool-operator" => Self::PoolOperator,
            "pool-admin" => Self::PoolAdmin,
            _ => return None,
        })
    }

    /// The role's name as the interface spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::VmOperator => "vm-operator",
            Self::VmAdmin => "vm-admin",
            Self::VmPowerAdmin => "vm-power-admin",
            Self::PoolOperator => "pool-operator",
            Self::PoolAdmin => "pool-admin",
        }
    }
}

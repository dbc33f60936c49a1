//! A guest without an operating system, for machines whose only task is to prove their life.
//!
//! 512 bytes of 16-bit code under a PC's BIOS: it writes its canary to sector 0 of the first hard
//! disk (int 13h, AH=43h) each fourth timer tick, sleeps with HLT in between, and switches the
//! machine off when somebody presses the ACPI power button. The sector lies on a read-only floppy
//! image of its own, so that raw disks hold nothing but the canary.

use uuid::Uuid;

use super::canary::{COUNTER_AT, MAGIC, RUN_AT, UUID_AT};

/// Where the BIOS loads the sector.
const ORIGIN: u16 = 0x7c00;
/// Where the canary sector is put together.
const BUFFER: u16 = 0x8000;
/// The disk address packet's place in the sector.
const PACKET_AT: usize = 0x150;
/// The canary's fixed part in the sector.
const TEMPLATE_AT: usize = 0x160;
/// The BIOS's name for the first hard disk.
const FIRST_DISK: u8 = 0x80;
/// The BIOS's tick counter (18.2 a second).
const TICKS: u16 = 0x046c;
/// Ticks between two writes.
const EVERY: u8 = 4;
/// ACPI power management ports of the PC machine: status, enable, control.
const PM_STATUS: u16 = 0x600;
const PM_ENABLE: u16 = 0x602;
const PM_CONTROL: u16 = 0x604;
/// Bit 8 of status and enable is the power button; seen from the high byte.
const POWER_BUTTON: u8 = 0x01;
/// Sleep enable with type 0: off.
const SWITCH_OFF: u16 = 0x2000;
/// Bytes of a 1.44 MB floppy.
const FLOPPY: usize = 1_474_560;

/// The floppy image for one run of one VM.
pub fn floppy(vm: Uuid, run: u64) -> Vec<u8> {
    let mut image = sector(vm, run).to_vec();
    image.resize(FLOPPY, 0);
    image
}

/// The boot sector for one run of one VM.
pub fn sector(vm: Uuid, run: u64) -> [u8; 512] {
    let mut sector = [0; 512];
    let code = code();
    sector[..code.len()].copy_from_slice(&code);
    sector[PACKET_AT..PACKET_AT + 16].copy_from_slice(&packet());
    let template = &mut sector[TEMPLATE_AT..TEMPLATE_AT + COUNTER_AT];
    template[..UUID_AT].copy_from_slice(&MAGIC);
    template[UUID_AT..RUN_AT].copy_from_slice(vm.as_bytes());
    template[RUN_AT..].copy_from_slice(&run.to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// "One sector from 0:BUFFER to block 0."
fn packet() -> [u8; 16] {
    let [low, high] = BUFFER.to_le_bytes();
    [16, 0, 1, 0, low, high, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Machine code with jumps to known places.
#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
}

impl Code {
    fn emit(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// An instruction that ends with a 16-bit number.
    fn word(&mut self, instruction: &[u8], word: u16) -> &mut Self {
        self.emit(instruction).emit(&word.to_le_bytes())
    }

    fn here(&self) -> usize {
        self.bytes.len()
    }

    /// A short jump back to a place.
    fn back(&mut self, instruction: u8, to: usize) -> &mut Self {
        let distance = self.here() + 2 - to;
        // Two's complement of a distance that is far below 128 in a program of this size.
        self.emit(&[instruction, (distance as u8).wrapping_neg()])
    }

    /// A short jump whose target is not known yet; gives the place of its distance.
    fn forward(&mut self, instruction: u8) -> usize {
        self.emit(&[instruction, 0]);
        self.here() - 1
    }

    /// The target of a [`Self::forward`].
    fn land(&mut self, at: usize) {
        self.bytes[at] = (self.here() - at - 1) as u8;
    }
}

const JMP: u8 = 0xeb;
const JB: u8 = 0x72;
const JNZ: u8 = 0x75;

fn code() -> Vec<u8> {
    let mut code = Code::default();
    code.emit(&[0xfa]) // cli
        .emit(&[0x31, 0xc0]) // xor ax, ax
        .emit(&[0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0]) // mov ds, es, ss from ax
        .word(&[0xbc], ORIGIN) // mov sp, ORIGIN
        .emit(&[0xfb, 0xfc]); // sti; cld
    code.word(&[0xbf], BUFFER) // mov di, BUFFER
        .word(&[0xb9], 256) // mov cx, 256
        .emit(&[0xf3, 0xab]); // rep stosw
    code.word(&[0xbe], ORIGIN + TEMPLATE_AT as u16) // mov si, template
        .word(&[0xbf], BUFFER) // mov di, BUFFER
        .word(&[0xb9], (COUNTER_AT / 2) as u16) // mov cx, words
        .emit(&[0xf3, 0xa5]); // rep movsw
    code.word(&[0xba], PM_ENABLE) // mov dx, PM_ENABLE
        .emit(&[0xed]) // in ax, dx
        .emit(&[0x80, 0xcc, POWER_BUTTON]) // or ah, POWER_BUTTON
        .emit(&[0xef]); // out dx, ax

    let write = code.here();
    let counter = BUFFER + COUNTER_AT as u16;
    code.word(&[0x66, 0x83, 0x06], counter)
        .emit(&[1]) // add dword [counter], 1
        .word(&[0x66, 0x83, 0x16], counter + 4)
        .emit(&[0]); // adc dword [counter + 4], 0
    code.word(&[0xbe], ORIGIN + PACKET_AT as u16) // mov si, packet
        .emit(&[0xb2, FIRST_DISK]) // mov dl, FIRST_DISK
        .word(&[0xb8], 0x4300) // mov ax, "write"
        .emit(&[0xcd, 0x13]); // int 13h
    code.word(&[0x8b, 0x1e], TICKS); // mov bx, [TICKS]

    let sleep = code.here();
    code.emit(&[0xf4]) // hlt
        .word(&[0xba], PM_STATUS) // mov dx, PM_STATUS
        .emit(&[0xed]) // in ax, dx
        .emit(&[0xf6, 0xc4, POWER_BUTTON]); // test ah, POWER_BUTTON
    let off = code.forward(JNZ);
    code.word(&[0xa1], TICKS) // mov ax, [TICKS]
        .emit(&[0x29, 0xd8]) // sub ax, bx
        .emit(&[0x83, 0xf8, EVERY]) // cmp ax, EVERY
        .back(JB, sleep)
        .back(JMP, write);

    code.land(off);
    code.word(&[0xba], PM_CONTROL) // mov dx, PM_CONTROL
        .word(&[0xb8], SWITCH_OFF) // mov ax, SWITCH_OFF
        .emit(&[0xef]); // out dx, ax
    let end = code.here();
    code.emit(&[0xf4]).back(JMP, end); // hlt; again
    code.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::hypervisor::canary::Canary;

    #[test]
    fn the_sector_is_bootable_and_carries_vm_and_run() {
        let vm = Uuid::from_u128(0x0102_0304 << 64 | 9);
        let sector = sector(vm, 77);
        assert_eq!(sector[510..], [0x55, 0xaa]);
        let mut canary = [0; 512];
        canary[..COUNTER_AT].copy_from_slice(&sector[TEMPLATE_AT..TEMPLATE_AT + COUNTER_AT]);
        assert_eq!(Canary::parse(&canary), Some(Canary { vm, run: 77, counter: 0 }));
    }

    #[test]
    fn code_and_data_do_not_overlap() {
        assert!(code().len() <= PACKET_AT);
        assert_eq!(floppy(Uuid::nil(), 1).len(), FLOPPY);
    }
}

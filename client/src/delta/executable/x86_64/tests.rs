use proptest::prelude::*;

use super::*;

const PLAIN: Instruction = Instruction {
    length: 0,
    branch: 0,
    relative: 0,
    displacement: 0,
    immediate: 0,
    takes_address: false,
};

const fn branch(place: usize) -> Instruction {
    Instruction { branch: place, ..PLAIN }
}

const fn relative(place: usize) -> Instruction {
    Instruction { relative: place, ..PLAIN }
}

const fn displacement(place: usize) -> Instruction {
    Instruction { displacement: place, ..PLAIN }
}

const fn immediate(place: usize) -> Instruction {
    Instruction { immediate: place, ..PLAIN }
}

const LEA: Instruction = Instruction { takes_address: true, ..PLAIN };

/// Instructions with what assemblers make of them.
const ENCODINGS: &[(&str, &[u8], Instruction)] = &[
    ("ret", b"\xc3", PLAIN),
    ("push rbp", b"\x55", PLAIN),
    ("mov rbp, rsp", b"\x48\x89\xe5", PLAIN),
    ("sub rsp, 16", b"\x48\x83\xec\x10", PLAIN),
    ("sub rsp, 0x1000", b"\x48\x81\xec\x00\x10\x00\x00", immediate(3)),
    ("add al, 1", b"\x04\x01", PLAIN),
    ("add eax, 0x11223344", b"\x05\x44\x33\x22\x11", immediate(1)),
    ("add ax, 0x1122", b"\x66\x05\x22\x11", PLAIN),
    ("imul eax, ecx, 100", b"\x6b\xc1\x64", PLAIN),
    ("imul eax, ecx, 1000", b"\x69\xc1\xe8\x03\x00\x00", immediate(2)),
    ("push 8", b"\x6a\x08", PLAIN),
    ("push 0x404000", b"\x68\x00\x40\x40\x00", immediate(1)),
    ("mov edi, 0x404000", b"\xbf\x00\x40\x40\x00", immediate(1)),
    ("mov r15d, 0x404000", b"\x41\xbf\x00\x40\x40\x00", immediate(2)),
    ("mov ax, 0x1234", b"\x66\xb8\x34\x12", PLAIN),
    ("movabs rax, 0x1122334455667788", b"\x48\xb8\x88\x77\x66\x55\x44\x33\x22\x11", PLAIN),
    ("mov cl, 7", b"\xb1\x07", PLAIN),
    ("movabs eax, [0x1122334455667788]", b"\xa1\x88\x77\x66\x55\x44\x33\x22\x11", PLAIN),
    ("addr32 mov eax, [0x11223344]", b"\x67\xa1\x44\x33\x22\x11", PLAIN),
    ("call", b"\xe8\x10\x00\x00\x00", branch(1)),
    ("jmp", b"\xe9\xfb\xff\xff\xff", branch(1)),
    ("bnd jmp", b"\xf2\xe9\x00\x00\x00\x00", branch(2)),
    ("data16 rex.W call", b"\x66\x66\x48\xe8\x00\x00\x00\x00", branch(4)),
    ("je near", b"\x0f\x84\x00\x01\x00\x00", branch(2)),
    ("je short", b"\x74\x05", PLAIN),
    ("jmp short", b"\xeb\xfe", PLAIN),
    ("call [rip + 0x100]", b"\xff\x15\x00\x01\x00\x00", relative(2)),
    ("jmp [rax*8 + 0x404000]", b"\xff\x24\xc5\x00\x40\x40\x00", displacement(3)),
    ("call rax", b"\xff\xd0", PLAIN),
    ("mov eax, [rip + 0x100]", b"\x8b\x05\x00\x01\x00\x00", relative(2)),
    (
        "mov dword [rip + 0x100], 5",
        b"\xc7\x05\x00\x01\x00\x00\x05\x00\x00\x00",
        Instruction { immediate: 6, ..relative(2) },
    ),
    ("mov word [rip + 0x100], 5", b"\x66\xc7\x05\x00\x01\x00\x00\x05\x00", relative(3)),
    ("mov byte [rip + 0x100], 5", b"\xc6\x05\x00\x01\x00\x00\x05", relative(2)),
    ("cmp byte [rip + 0x100], 0", b"\x80\x3d\x00\x01\x00\x00\x00", relative(2)),
    ("lea rdi, [rip + 0x100]", b"\x48\x8d\x3d\x00\x01\x00\x00", Instruction { relative: 3, ..LEA }),
    ("lea rax, [rsp + 8]", b"\x48\x8d\x44\x24\x08", LEA),
    ("lea rax, [rdi + rdi*4]", b"\x48\x8d\x04\xbf", LEA),
    ("mov eax, [rbp - 8]", b"\x8b\x45\xf8", PLAIN),
    ("mov eax, [rbp + 0x100]", b"\x8b\x85\x00\x01\x00\x00", displacement(2)),
    ("mov eax, [rsp]", b"\x8b\x04\x24", PLAIN),
    ("mov eax, [rsp + 0x100]", b"\x8b\x84\x24\x00\x01\x00\x00", displacement(3)),
    ("mov eax, [rax*4 + 0x404000]", b"\x8b\x04\x85\x00\x40\x40\x00", displacement(3)),
    ("mov eax, [0x404000]", b"\x8b\x04\x25\x00\x40\x40\x00", displacement(3)),
    ("mov rax, fs:[0]", b"\x64\x48\x8b\x04\x25\x00\x00\x00\x00", displacement(5)),
    ("test cl, 1", b"\xf6\xc1\x01", PLAIN),
    ("test ecx, 0x100", b"\xf7\xc1\x00\x01\x00\x00", immediate(2)),
    ("test cx, 0x100", b"\x66\xf7\xc1\x00\x01", PLAIN),
    ("test byte [rip + 0x100], 1", b"\xf6\x05\x00\x01\x00\x00\x01", relative(2)),
    ("not ecx", b"\xf7\xd1", PLAIN),
    ("div qword [rip + 0x100]", b"\x48\xf7\x35\x00\x01\x00\x00", relative(3)),
    ("shl eax, 3", b"\xc1\xe0\x03", PLAIN),
    ("shl eax, 1", b"\xd1\xe0", PLAIN),
    ("enter 16, 0", b"\xc8\x10\x00\x00", PLAIN),
    ("ret 8", b"\xc2\x08\x00", PLAIN),
    ("fld tbyte [rsp + 16]", b"\xdb\x6c\x24\x10", PLAIN),
    ("rep stosq", b"\xf3\x48\xab", PLAIN),
    ("endbr64", b"\xf3\x0f\x1e\xfa", PLAIN),
    ("syscall", b"\x0f\x05", PLAIN),
    ("cpuid", b"\x0f\xa2", PLAIN),
    ("ud2", b"\x0f\x0b", PLAIN),
    ("bswap eax", b"\x0f\xc8", PLAIN),
    ("nop word cs:[rax + rax]", b"\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", displacement(6)),
    ("movzx eax, byte [rip + 0x100]", b"\x0f\xb6\x05\x00\x01\x00\x00", relative(3)),
    // The second opcode is that of LEA in the other table: JGE.
    ("jge near", b"\x0f\x8d\x00\x00\x00\x00", branch(2)),
    ("pshufd xmm0, [rip + 0x100], 0x4e", b"\x66\x0f\x70\x05\x00\x01\x00\x00\x4e", relative(4)),
    ("bt eax, 5", b"\x0f\xba\xe0\x05", PLAIN),
    ("pshufb xmm0, [rip + 0x100]", b"\x66\x0f\x38\x00\x05\x00\x01\x00\x00", relative(5)),
    ("palignr xmm0, xmm1, 8", b"\x66\x0f\x3a\x0f\xc1\x08", PLAIN),
    ("roundsd xmm0, [rip + 0x100], 9", b"\x66\x0f\x3a\x0b\x05\x00\x01\x00\x00\x09", relative(5)),
    ("vzeroupper", b"\xc5\xf8\x77", PLAIN),
    ("vmovdqu ymm0, [rip + 0x100]", b"\xc5\xfe\x6f\x05\x00\x01\x00\x00", relative(4)),
    ("vpshufd xmm0, [rip + 0x100], 1", b"\xc5\xf9\x70\x05\x00\x01\x00\x00\x01", relative(4)),
    ("vpshufb ymm0, ymm0, [rip + 0x100]", b"\xc4\xe2\x7d\x00\x05\x00\x01\x00\x00", relative(5)),
    ("vpalignr ymm0, ymm1, ymm2, 8", b"\xc4\xe3\x75\x0f\xc2\x08", PLAIN),
    ("vmovdqu64 zmm0, [rip + 0x100]", b"\x62\xf1\xfe\x48\x6f\x05\x00\x01\x00\x00", relative(6)),
    (
        "vpternlogd zmm0, zmm1, [rip + 0x100], 0x96",
        b"\x62\xf3\x75\x48\x25\x05\x00\x01\x00\x00\x96",
        relative(6),
    ),
    ("vmovdqu64 zmm0, [rsp + 64]", b"\x62\xf1\xfe\x48\x6f\x44\x24\x01", PLAIN),
];

#[test]
fn instructions_are_as_long_and_their_fields_where_assemblers_put_them() {
    for (name, bytes, expected) in ENCODINGS {
        let expected = Instruction { length: bytes.len(), ..*expected };
        assert_eq!(decode(bytes), Some(expected), "{name}");
        let followed = [bytes, &b"\x90\x90"[..]].concat();
        assert_eq!(decode(&followed), Some(expected), "{name}");
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None, "{name}, of which {end} bytes are there");
        }
    }
}

#[test]
fn what_is_no_instruction_is_none() {
    let cases: [(&str, &[u8]); 6] = [
        ("push es", b"\x06\x90\x90\x90\x90\x90\x90\x90"),
        ("far call", b"\x9a\x90\x90\x90\x90\x90\x90\x90"),
        ("an opcode that was never given", b"\x0f\x0a\x90\x90\x90\x90\x90"),
        ("bound", b"\x62\x08\x00\x00\x00\x00\x00\x00"),
        ("VEX without a map", b"\xc4\xe0\x78\x10\xc0\x90\x90\x90"),
        ("16 bytes", b"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
    ];
    for (name, bytes) in cases {
        assert_eq!(decode(bytes), None, "{name}");
    }
}

proptest! {
    #[test]
    fn whatever_the_bytes_are_places_are_within_the_instruction(
        bytes in proptest::collection::vec(any::<u8>(), 0..20)
    ) {
        if let Some(found) = decode(&bytes) {
            prop_assert!((1..=LENGTH_MAX.min(bytes.len())).contains(&found.length));
            let places = [found.branch, found.relative, found.displacement, found.immediate];
            prop_assert!(places.iter().all(|place| *place == 0 || place + 4 <= found.length));
            prop_assert_eq!(decode(&bytes[..found.length]), Some(found));
        }
    }
}

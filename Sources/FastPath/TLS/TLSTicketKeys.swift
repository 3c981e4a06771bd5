// What a server seals its session tickets with, so that clients come back at a fraction of the cost. The newest key
// seals; it and the two before it open. Contexts that are made by a reload share it, so sessions survive reloads.
//
// Invariant: keys are random, never written anywhere, and gone two rotations later: a ticket taken from the wire can
// be opened for so long and no longer, whatever leaks then.
// Safety: counted by the C side, contexts included; `rotate` is for one thread at a time, while loops read.

import CShims

@safe package final class TLSTicketKeys: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Nil when the system gives no random bytes.
    package init?() {
        guard let made = unsafe sluice_tls_keys_new() else { return nil }
        unsafe pointer = made
    }
    deinit { unsafe sluice_tls_keys_free(pointer) }

    /// False when the system gives no random bytes; the keys stay as they were.
    package func rotate() -> Bool { unsafe sluice_tls_keys_rotate(pointer) == 1 }
}

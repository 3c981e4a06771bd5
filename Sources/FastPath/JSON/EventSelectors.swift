// What a source's event id, type and dedup key are in a request: three lists of places, compiled, one call a request
// and at most one pass over its body. `ValueSelector.swift` has the places, `SelectedKey.swift` the key.
//
// Invariants: values are compared decoded, however they are spelled, so that one value is one type and one key; a
// request in which no alternative of the dedup key has a value has no identity, and is never a duplicate. An event that
// is dropped is a loss, one that is kept twice a nuisance.
//
// Safety: points into the `CompiledMemory` given at compilation; what is selected points into the request and into
// that memory.

/// What `EventSelectors` found for the log; a part that the request does not have is empty.
package struct SelectedValues {
    let eventType: SelectedValue
    let key: SelectedKey
    static var none: SelectedValues { SelectedValues(eventType: .none, key: SelectedKey()) }
}

/// The three lists of a source.
package struct EventSelectors: Sendable {
    private let eventID: ValueSelector
    private let eventType: ValueSelector
    private let key: KeySelector

    /// `dedupKey`: alternatives, each a place or several that count together, joined by ` + `.
    package init(
        eventID: [String], eventType: [String], dedupKey: [String], in memory: CompiledMemory
    ) throws(SelectorError) {
        var paths: [JSONPath] = []
        let id = try SelectorList(eventID, paths: &paths, in: memory)
        let type = try SelectorList(eventType, paths: &paths, in: memory)
        let key = try KeyList(dedupKey, paths: &paths, in: memory)
        let set = JSONPathSet(paths, in: memory)
        self.eventID = ValueSelector(id, set)
        self.eventType = ValueSelector(type, set)
        self.key = KeySelector(key, set)
    }

    /// Decodes where it must to see whether a value is there, in `room`, which it gives back.
    @_noAllocation @_noLocks
    func select(
        bytes: ByteView, head: RequestHead, fields: borrowing FieldTable, body: ByteView, room: ComposedBytes
    ) -> SelectedValues {
        let request = SelectedRequest(bytes: bytes, head: head, body: body, room: room)
        var document = ScannedDocument()
        return SelectedValues(
            eventType: eventType.select(request, fields, &document), key: key.select(request, fields, &document))
    }
}

// For worker threads and tests; these allocate.
extension EventSelectors {
    /// What was selected, decoded. A nil key: the request has no identity.
    package struct Texts: Equatable, Sendable {
        package var eventID: [UInt8] = []
        package var eventType: [UInt8] = []
        package var key: [UInt8]?
        /// True exactly when `key` is the body itself.
        package var keyIsBody = false
    }
    package func texts(bytes: ByteView, head: RequestHead, fields: borrowing FieldTable, body: ByteView) -> Texts {
        // Decoding and composing write at most what they read, and a few bytes a part.
        let capacity = 2 * SelectedKey.partCountMax * (bytes.count + body.count) + 4096
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        defer { unsafe memory.deallocate() }
        var room = unsafe ComposedBytes(memory: memory, capacity: capacity)
        let selected = select(bytes: bytes, head: head, fields: fields, body: body, room: room)
        let request = SelectedRequest(bytes: bytes, head: head, body: body, room: room)
        var document = ScannedDocument()
        let id = eventID.select(request, fields, &document)
        var texts = Texts()
        texts.eventID = room.plainText(of: id)?.array ?? []
        texts.eventType = room.plainText(of: selected.eventType)?.array ?? []
        texts.keyIsBody = selected.key.isBody
        if selected.key.hasIdentity { texts.key = room.text(of: selected.key)?.array }
        return texts
    }
}

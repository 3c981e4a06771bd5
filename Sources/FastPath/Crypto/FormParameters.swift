// The parameters of a form (application/x-www-form-urlencoded), sorted and each once, as Twilio signs them: name and
// value, one behind the other, no separator. Parsed and sorted in memory that is there before: no allocation.
//
// Invariants: at most `countMax` parameters in at most `bytesMax` bytes, so that the time is bounded (a heap sort: a
// sender cannot choose a slow order); what is more is refused, never cut.
//
// Safety: the table and the text are allocated in `init` and freed in `deallocate`; entries hold offsets into the text.

@safe struct FormParameters {
    /// Twilio's largest requests have fewer than a hundred.
    static let countMax = 512
    static let bytesMax = 64 << 10

    struct Entry {
        var nameStart: UInt32
        var nameCount: UInt32
        var valueStart: UInt32
        var valueCount: UInt32
    }
    private let entries: UnsafeMutablePointer<Entry>
    private let text: UnsafeMutablePointer<UInt8>
    static let memoryBytes = countMax * MemoryLayout<Entry>.stride + bytesMax

    init() {
        unsafe entries = .allocate(capacity: FormParameters.countMax)
        unsafe text = .allocate(capacity: FormParameters.bytesMax)
    }
    func deallocate() {
        unsafe entries.deallocate()
        unsafe text.deallocate()
    }

    /// False when the form is larger than is taken.
    func append(_ form: ByteView, to composed: inout ComposedBytes) -> Bool {
        guard form.count <= FormParameters.bytesMax else { return false }
        var decoded = unsafe ComposedBytes(memory: text, capacity: FormParameters.bytesMax)
        var count = 0
        var start = 0
        while start < form.count {
            var end = start
            var middle = -1
            while end < form.count, form[end] != 0x26 {
                if middle < 0, form[end] == 0x3D { middle = end }
                end += 1
            }
            if end > start {
                guard count < FormParameters.countMax else { return false }
                let nameEnd = middle < 0 ? end : middle
                let nameStart = decoded.count
                decoded.appendPercentDecoded(form.slice(start, nameEnd - start), plusIsSpace: true)
                let valueStart = decoded.count
                if middle >= 0 {
                    decoded.appendPercentDecoded(form.slice(middle + 1, end - middle - 1), plusIsSpace: true)
                }
                unsafe entries[count] = Entry(
                    nameStart: UInt32(nameStart), nameCount: UInt32(valueStart - nameStart),
                    valueStart: UInt32(valueStart), valueCount: UInt32(decoded.count - valueStart))
                count += 1
            }
            start = end + 1
        }
        sort(count)
        for index in 0..<count {
            if index > 0, unsafe !isLess(entries[index - 1], entries[index]) { continue }
            unsafe composed.append(name(entries[index]))
            unsafe composed.append(value(entries[index]))
        }
        return true
    }

    private func name(_ entry: Entry) -> ByteView {
        unsafe ByteView(text + Int(entry.nameStart), count: Int(entry.nameCount))
    }
    private func value(_ entry: Entry) -> ByteView {
        unsafe ByteView(text + Int(entry.valueStart), count: Int(entry.valueCount))
    }
    private func isLess(_ left: Entry, _ right: Entry) -> Bool {
        let order = FormParameters.order(name(left), name(right))
        return order < 0 || order == 0 && FormParameters.order(value(left), value(right)) < 0
    }
    /// Bytewise: for UTF-8 that is the order of the characters' numbers. Eight bytes at once.
    private static func order(_ left: ByteView, _ right: ByteView) -> Int {
        let shorter = min(left.count, right.count)
        var place = 0
        while place + 8 <= shorter {
            let a = UInt64(bigEndian: left.load(place, as: UInt64.self))
            let b = UInt64(bigEndian: right.load(place, as: UInt64.self))
            if a != b { return a < b ? -1 : 1 }
            place += 8
        }
        while place < shorter {
            if left[place] != right[place] { return left[place] < right[place] ? -1 : 1 }
            place += 1
        }
        return left.count - right.count
    }

    private func sort(_ count: Int) {
        guard count > 1 else { return }
        var root = count / 2
        while root > 0 {
            root -= 1
            sink(root, count)
        }
        var end = count - 1
        while end > 0 {
            swapEntries(0, end)
            sink(0, end)
            end -= 1
        }
    }
    private func sink(_ start: Int, _ count: Int) {
        var root = start
        while 2 * root + 1 < count {
            var child = 2 * root + 1
            if child + 1 < count, unsafe isLess(entries[child], entries[child + 1]) { child += 1 }
            guard unsafe isLess(entries[root], entries[child]) else { return }
            swapEntries(root, child)
            root = child
        }
    }
    private func swapEntries(_ left: Int, _ right: Int) {
        let entry = unsafe entries[left]
        unsafe entries[left] = entries[right]
        unsafe entries[right] = entry
    }
}

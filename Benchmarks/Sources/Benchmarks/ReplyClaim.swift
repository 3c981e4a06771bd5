// The answer to an event that is in the log, rendered whole.
import FastPath

enum ReplyClaim {
    static let claim = Claim(name: "reply") { effort in
        let memory = ByteMemory([UInt8](repeating: 0, count: Reply.byteCountMax))
        let dates = DateCache(unixSeconds: 1_700_000_000)
        var reply = Reply(status: 202)
        reply.durability = "fsync"
        let accepted = reply
        func run(_ count: Int) -> UInt64 {
            var hash: UInt64 = 1
            for serial in 0..<count {
                let bytes = accepted.writeEvent(
                    .accepted, id: EventID(logIdentity: 1, sequence: UInt64(serial + 1)), date: dates, to: memory.start,
                    capacity: memory.count)
                hash.mix(bytes)
                hash.mix(Int(memory.start[bytes - 3]))
            }
            return hash
        }
        let timing = Stopwatch.best(effort, count: effort.count(2_000_000), [run])[0]
        guard memory.view.slice(0, 12).equals("HTTP/1.1 202") else { throw BenchmarkError("not a 202") }
        return [
            Measurement(
                name: "reply", value: timing.nanos, unit: "ns", claim: "202 with the event's id and durability",
                hash: timing.hash)
        ]
    }
}

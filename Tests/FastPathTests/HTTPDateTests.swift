// The dates of HTTP: RFC 9110's own examples, the calendar's edges, and what is no date.
import FastPath
import TestSupport
import Testing

@Suite struct HTTPDateTests {
    private func parse(_ text: String) -> Int? { httpBytes(text).withView { HTTPDate.parse($0) } }
    private func render(_ seconds: Int) -> String {
        let memory = GuardedBytes(capacity: DateCache.writeBytes)
        let start = memory.start(count: DateCache.writeBytes)
        DateCache(unixSeconds: seconds).write(to: start)
        return String(decoding: UnsafeBufferPointer(start: start, count: HTTPDate.byteCount), as: UTF8.self)
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ]) func rendersAndReadsTheSameDate(_ seconds: Int, _ text: String) {
        #expect(render(seconds) == text)
        #expect(parse(text) == seconds)
    }
    @Test func comesBackFromEveryDayOfFourHundredYears() {
        for day in 0..<146_097 {
            let seconds = day * 86_400 + day % 86_400
            guard parse(render(seconds)) == seconds else {
                Issue.record("\(render(seconds)) is \(parse(render(seconds)) ?? -1), not \(seconds)")
                return
            }
        }
    }
    @Test func staysInsideItsFourDigitsWhateverTheClockSays() {
        #expect(render(.max) == "Fri, 31 Dec 9999 23:59:59 GMT")
        #expect(render(-1) == "Thu, 01 Jan 1970 00:00:00 GMT")
    }
    @Test func rendersAnewWhenTheSecondChanges() {
        var date = DateCache(unixSeconds: 59)
        date.update(unixSeconds: 60)
        let memory = GuardedBytes(capacity: 32)
        date.write(to: memory.start(count: 32))
        #expect(memory.start(count: 32)[21] == UInt8(ascii: "1"))
    }
    @Test func readsTheTwoObsoleteForms() {
        #expect(parse("Sunday, 06-Nov-94 08:49:37 GMT") == 784_111_777)
        #expect(parse("Wednesday, 01-Jan-25 00:00:00 GMT") == 1_735_689_600)
        #expect(parse("Sun Nov  6 08:49:37 1994") == 784_111_777)
        #expect(parse("Sun Nov 16 08:49:37 1994") == 784_975_777)
    }
    @Test(arguments: [
        "", "GMT", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 29 Feb 1900 00:00:00 GMT",
        "Sun, 00 Jan 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sun Nov 06 1994 08:49:37",
        "Sun, 06 Nov 1994 08-49-37 GMT", ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,",
    ]) func refusesWhatIsNoDate(_ text: String) {
        #expect(parse(text) == nil)
    }
}

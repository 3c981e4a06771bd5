// JSON of callers: read, written and read again it is the same; the reader of values and the flat table, which are two
// pieces of code, take the same texts, but for what the first refuses by its own rules.
import Engine
import Server

enum APIJSONFuzz {
    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let document = try? JSONDocument(input)
        let value: PlainJSON
        do throws(JSONProblem) { value = try JSONReading.value(input) } catch {
            try hold(!error.message.isEmpty, "an error that says nothing")
            switch error {
            case .malformed:
                // A half pair of surrogates is no text, and a byte order mark no part of a call.
                let hasOwnRule = input.starts(with: [0xEF, 0xBB, 0xBF]) || input.contains(UInt8(ascii: "\\"))
                try hold(document == nil || hasOwnRule, "JSON for one reader, and \(error) for the other")
            case .repeated, .numberOutOfRange: break
            case .notUTF8, .tooDeep, .numberTooLong, .notAnObject, .tooManyMembers, .tooManyValues:
                try hold(document == nil, "JSON for one reader, and \(error) for the other")
            }
            return
        }
        try hold(document != nil, "a value for one reader, and none for the other")
        try isReadAgain(value)
        let patched = PlainJSON.object(["old": .text("kept")]).merged(with: value)
        if case .object(let members) = value, members["old"] == nil, case .object(let result) = patched {
            try hold(result["old"] == .text("kept"), "a patch that takes what it does not name")
        }
        guard let members = try? JSONMembers(input) else { return }
        guard case .object(let named) = value else { throw FuzzFinding("members of what is no object") }
        try hold(members.members.count == named.count, "\(members.members.count) members, and \(named.count)")
    }

    static func isReadAgain(_ value: PlainJSON) throws(FuzzFinding) {
        let again: PlainJSON
        do throws(JSONProblem) { again = try JSONReading.value(Array(value.json.utf8)) } catch {
            throw FuzzFinding("what was written is no JSON: \(error)")
        }
        try hold(again == value.asStored, "\(value) is \(again) when it is read again")
        try hold(again.json == value.asStored.json, "written in two ways")
    }
}

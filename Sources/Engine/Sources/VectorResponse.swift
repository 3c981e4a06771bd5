// Whether an answered challenge is what a vector wants: status, content type, header lines, body.

import Foundation

enum VectorResponse {
    static func matches(_ vector: SignatureVector, _ answer: CapturedOutcome.ChallengeResponse) -> Bool {
        guard let wanted = vector.expect_response else { return true }
        if let status = wanted.status, status != answer.status { return false }
        if let type = wanted.content_type, !answer.contentType.lowercased().hasPrefix(type) { return false }
        if let body = wanted.body, Array(body.utf8) != answer.body { return false }
        let json = try? JSONReading.value(answer.body)
        if let want = wanted.json, want != json { return false }
        if let choices = wanted.any_of {
            let isOne = choices.contains { choice in
                choice.json.map { $0 == json } ?? choice.body.map { Array($0.utf8) == answer.body } ?? false
            }
            guard isOne else { return false }
        }
        return (wanted.headers ?? [:]).allSatisfy { name, value in
            guard let line = VectorResponse.value(of: name, in: answer.lines) else { return false }
            return VectorResponse.matches(line, value)
        }
    }

    private static func value(of name: String, in lines: String) -> String? {
        for line in lines.components(separatedBy: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            if line[..<colon].lowercased() == name.lowercased() {
                return line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            }
        }
        return nil
    }

    private static func matches(_ line: String, _ wanted: PlainJSON) -> Bool {
        switch wanted {
        case .list(let choices): return choices.contains { matches(line, $0) }
        case .text(let text):
            if text == "<positive integer or *>" { return line == "*" || (Int(line) ?? 0) > 0 }
            if text.hasPrefix("contains ") { return line.contains(text.dropFirst("contains ".count)) }
            return line == text
        default: return false
        }
    }
}

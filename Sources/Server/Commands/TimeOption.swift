// Options that take a time.
import ArgumentParser
import Engine
import FastPath

enum TimeOption {
    /// By their names; those that were not given are right.
    static func check(_ options: [(name: String, value: String?)]) throws {
        for (name, value) in options {
            if let value, TimeText.parse(value) == nil {
                throw ValidationError("\(name) takes a time such as 2026-01-31T00:00:00Z")
            }
        }
    }
}

// The nearest of some names, for "did you mean". Pure.

package enum NearestName {
    /// What is longer is nobody's slip, and comparing costs its letters times each name's.
    private static let bytesMax = 128
    /// Nil when nothing is near: more than a third of the letters (at least two) would have to change. O(names).
    package static func of(_ name: String, among names: some Sequence<String>) -> String? {
        guard name.utf8.count <= bytesMax else { return nil }
        var best: (name: String, distance: Int)?
        for known in names {
            let distance = distance(name, known)
            if distance < best?.distance ?? .max { best = (known, distance) }
        }
        guard let best else { return nil }
        return best.distance <= max(2, name.count / 3) && best.distance < name.count ? best.name : nil
    }
    /// Levenshtein distance; O(n·m) on names of a few dozen letters.
    static func distance(_ left: String, _ right: String) -> Int {
        let columns = Array(right)
        var row = Array(0...columns.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in columns.indices {
                let substituted = diagonal + (letter == columns[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(substituted, row[column] + 1, diagonal + 1)
            }
        }
        return row[columns.count]
    }
}

// Where requests of a lane, or to its second URL, lead, and where they led before. A value.

import FastPath

package struct KnownDestination {
    package private(set) var current: Destination?
    /// Of the answer of the resolver that `current` has its addresses from.
    package private(set) var version: UInt64 = 0
    /// What `current` was under the settings before; connections made for it may serve on.
    private var predecessor: Destination?

    /// What new addresses are compared with.
    package var last: Destination? { current ?? predecessor }
    package mutating func lead(to destination: Destination, version: UInt64) {
        (current, predecessor, self.version) = (destination, nil, version)
    }
    /// New settings hold from the next request on; connections stay when they lead to the same place.
    package mutating func renew() { (current, predecessor, version) = (nil, last, 0) }
}

// Binary search in a list that is sorted by whatever the caller compares.

extension RandomAccessCollection where Index == Int {
    /// The first index whose element is not `isBefore`, which holds for all before it and for none behind; `endIndex`
    /// when it holds for all. O(log n).
    package func partitionIndex(where isBefore: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

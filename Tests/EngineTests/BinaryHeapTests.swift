// The heap against a sorted array.

import Engine
import FastPath
import Testing

@Test func theHeapGivesWhatASortedArrayWould() {
    var generator = SeededGenerator(seed: 3)
    var heap = BinaryHeap<Int>()
    var model: [Int] = []
    for _ in 0..<5000 {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0:
            heap.removeAll { $0 % 3 == 0 }
            model.removeAll { $0 % 3 == 0 }
        case 1:
            let kept = Int.random(in: 0...model.count, using: &generator)
            #expect(Array(heap.split(keeping: kept)) == Array(model[kept...]))
            model.removeSubrange(kept...)
        case 2...45:
            #expect(heap.popFirst() == model.first)
            model = Array(model.dropFirst())
        default:
            let value = Int.random(in: 0..<200, using: &generator)
            heap.insert(value)
            model.append(value)
            model.sort()
        }
        #expect(heap.count == model.count && heap.isEmpty == model.isEmpty && heap.first == model.first)
        #expect(heap.unordered.sorted() == model)
    }
    heap.removeAll()
    #expect(heap.isEmpty && heap.popFirst() == nil)
}

// The end of a start, as the disk sees it: what was let go of for it is kept again for the next one. Last in the list,
// because every component before it may write.

final class StartRoomComponent: Component {
    let name = "room for the next start"
    private let store: StoreComponent

    init(store: StoreComponent) { self.store = store }
    func start() { store.reserve.endStart() }
}

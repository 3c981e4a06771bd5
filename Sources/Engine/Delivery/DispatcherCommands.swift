// What others ask of the dispatcher while it runs: endpoints that changed, replays, switching one on again, a copy of
// the numbers. Everything here happens between two steps, on the dispatcher's thread.

import FastPath

/// One endpoint of the configuration, ready for the dispatcher. Made on the caller's thread, where reading the store
/// may take its time.
package struct LanePlan: Sendable {
    package var stored: StoredEndpoint
    package var settings: LaneSettings
    package var subscription: Subscription
    /// `DeliveryStore.recorded` from the resume place on.
    package var recorded: [UInt64]

    package init(stored: StoredEndpoint, settings: LaneSettings, subscription: Subscription, recorded: [UInt64]) {
        self.stored = stored
        self.settings = settings
        self.subscription = subscription
        self.recorded = recorded
    }
}

/// What became of one event that was asked to be sent again.
package enum ReplayVerdict: Equatable, Sendable {
    case accepted
    /// A delivery of it is already waiting or out.
    case alreadyPending
    /// The lane has not come to it yet; it will be delivered anyway.
    case notReached
    case unknownEndpoint
    /// Not in the log, or not there any more.
    case unknownEvent
    /// The store cannot take it now.
    case busy
}

extension Dispatcher {
    /// The endpoints from now on. Known ones keep their place and what is out; the ones not named end, their place is
    /// kept.
    package func apply(_ plans: [LanePlan], now: UInt64) {
        let named = Set(plans.map(\.stored.number))
        for (index, lane) in lanes.enumerated() where !named.contains(lane.number) && !lane.isRemoved {
            detach(lane)
            lane.isRemoved = true
            subscriptions.set(nil, lane: index)
        }
        for plan in plans {
            if let index = laneOfNumber[plan.stored.number] {
                lanes[index].settings = plan.settings
                lanes[index].isRemoved = false
                subscriptions.set(plan.subscription, lane: index)
            } else {
                let index = lanes.count
                lanes.append(Lane(plan.stored, settings: plan.settings, recorded: plan.recorded))
                laneOfNumber[plan.stored.number] = index
                subscriptions.set(plan.subscription, lane: index)
            }
        }
    }
    private func detach(_ lane: Lane) {
        guard lane.reading == .shared else { return }
        lane.reading = .alone(shared)
        sharedCount -= 1
    }

    /// An endpoint that stopped itself (410) gets events again, from where it stood. Durable with the next batch.
    package func enable(number: Int) -> Bool {
        guard let index = laneOfNumber[number] else { return false }
        let lane = lanes[index]
        guard lane.stop != nil else { return true }
        lane.stop = nil
        lane.forgetPace()
        batch.switches.append(EndpointSwitch(endpoint: number, stop: nil))
        batch.isDurable = true
        return true
    }

    /// Sends events again that the endpoint has behind it: the same `webhook-id`, attempts counted from the start.
    package func replay(number: Int, places: [EventPlace], now: UInt64) -> [ReplayVerdict] {
        places.map { replay(number: number, place: $0, now: now) }
    }
    private func replay(number: Int, place: EventPlace, now: UInt64) -> ReplayVerdict {
        guard let index = laneOfNumber[number], !lanes[index].isRemoved else { return .unknownEndpoint }
        let lane = lanes[index]
        guard place.sequence < lane.mark(shared: shared).sequence else { return .notReached }
        guard !lane.retries.isScheduled(place.sequence) else { return .alreadyPending }
        guard makeRoomInBatch(now: now) else { return .busy }
        let due = clock.millis(at: now)
        lane.counters.replayed += 1
        record(
            DeliveryRow(
                endpoint: number, place: place, state: .pending, attempts: 0, status: 0, result: .abandoned,
                reason: nil,
                dueMillis: due, updatedMillis: due),
            lane: lane, now: now)
        batch.isDurable = true
        lane.retries.schedule(
            RetryEntry(key: RetryKey(dueMillis: due, sequence: place.sequence), position: place.position, attempts: 0))
        return .accepted
    }

    package func metrics(now: UInt64) -> DeliveryMetrics {
        var metrics = DeliveryMetrics()
        let end = log.committedEnd.sequence
        for lane in lanes where !lane.isRemoved {
            let place = lane.place(shared: shared).sequence
            metrics.lanes.append(
                LaneMetrics(
                    name: lane.name, counters: lane.counters, inFlight: lane.inFlight,
                    retriesWaiting: lane.retries.count + lane.deferred.count, lagEvents: end > place ? end - place : 0,
                    isPaused: lane.pauseEnd(now: now) != nil, isDisabled: lane.settings.isDisabled, stop: lane.stop,
                    mark: lane.committedMark.sequence))
        }
        metrics.eventsRead = eventsRead
        metrics.eventsUnreadable = eventsUnreadable
        metrics.payloadBytesLeased = pool.leasedBytes
        metrics.payloadBytes = pool.byteCount
        metrics.ordersOut = slots.outCount
        metrics.batchesWaiting = batchesOut
        return metrics
    }
}

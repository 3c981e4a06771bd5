// The store in memory that the dispatcher's tests share with the simulator, seen by every file of this target.

@_exported import Simulator

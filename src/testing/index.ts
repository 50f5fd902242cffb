// "guru-comms/testing": time, chance, networks, stores and histories for tests of your own. Re-exports only.

/// <reference types="node" preserve="true" />

export { FakeNetwork, type FakeNetworkOptions } from './FakeNetwork.ts'
export { FakeWebSocket } from './FakeWebSocket.ts'
export { History, type HistoryOptions, type Violation } from './History.ts'
export { MemoryDisk, MemoryOutbox, type MemoryOutboxOptions } from './MemoryOutbox.ts'
export { MemorySessionDisk, MemorySessionStore } from './MemorySessionStore.ts'
export { seededRandom } from './seededRandom.ts'
export { VirtualClock } from './VirtualClock.ts'

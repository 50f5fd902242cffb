// "guru-comms/tabs": one connection for all tabs of a site. Re-exports only.

export type { SharedEvents } from './events.ts'
export type { Line as SharedLine } from './Leader.ts'
export { type SharedConnectionOptions, sharedConnection } from './open.ts'
export type { TabReceipt } from './outgoing.ts'
export type { TabSendOptions } from './protocol.ts'
export type { SharedConnection } from './SharedConnection.ts'

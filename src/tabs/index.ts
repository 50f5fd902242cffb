// "guru-comms/tabs": one connection for all tabs of a site. Re-exports only.

export { type SharedConnectionOptions, sharedConnection } from './open.ts'
export type { TabReceipt } from './outgoing.ts'
export type { TabSendOptions } from './protocol.ts'
export type { Line as SharedLine, SharedConnection, SharedEvents } from './SharedConnection.ts'

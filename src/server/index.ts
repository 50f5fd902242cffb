// "guru-comms/server": a backend to talk to. Node only.

export type { ReplyDelta } from './Conversation.ts'
export { type Backend, type BackendStats, createBackend } from './createBackend.ts'
export type { FaultRequest, FaultState } from './faults.ts'
export type { BackendOptions, Model, Principal } from './options.ts'
export {
  echoResponder,
  type Question,
  type Responder,
  type ResponderContext,
  type Turn,
} from './responder.ts'

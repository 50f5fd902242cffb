// "guru-comms/server": a backend to talk to, and lossless sessions for backends of your own. Node only.

/// <reference types="node" preserve="true" />

export { LogRoutes } from '../replies/durableStreams/LogRoutes.ts'
export { repliesRoutes } from '../replies/durableStreams/RepliesRoutes.ts'
export type { LogStep, LogStore, LogWrite, StepResult } from '../replies/LogStore.ts'
export type { Audience, LogHead, LogRecord, ReplyState } from '../replies/log.ts'
export {
  type ReadReply,
  Replies,
  type ReplyAccess,
  type ReplyInfo,
  type StartReply,
} from '../replies/Replies.ts'
export type { ReplyWriter } from '../replies/ReplyWriter.ts'
export type { RepliesOptions } from '../replies/repliesOptions.ts'
export type { ReplyEvent, ReplyFailure } from '../replies/replyMessages.ts'
export type {
  Credentials,
  FateListener,
  InboxMessage,
  PostedMessage,
  PostFate,
  PostResult,
  SessionOwner,
  SharedSessions,
} from '../session/sharedSessions.ts'
export type {
  SessionHead,
  SessionRecord,
  SessionStore,
  SessionWrite,
  StoredSession,
  Transact,
  Write,
  WriteResult,
} from '../session/store.ts'
export type { ReplyDelta } from './Conversation.ts'
export type { WebSocketServerLike } from './carrier.ts'
export { type Backend, type BackendStats, createBackend } from './createBackend.ts'
export type { FaultRequest, FaultState } from './faults.ts'
export type { BackendOptions, Model, Principal } from './options.ts'
export {
  echoResponder,
  type Question,
  type ReplyFault,
  type Responder,
  type ResponderContext,
  ResponderError,
  type Turn,
} from './responder.ts'
export type {
  DroppedSessionMessage,
  Session,
  SessionEvents,
  SessionHandler,
  SessionLossReason,
  SessionMessage,
  SessionMessageContext,
  SessionMessageTypes,
  SessionReceipt,
} from './Session.ts'
export { SessionSender, type SessionSenderOptions } from './SessionSender.ts'
export {
  SessionServer,
  type SessionServerEvents,
  type SessionServerStats,
} from './SessionServer.ts'
export type {
  AttachOptions,
  DrainOptions,
  SessionPrincipal,
  SessionSendOptions,
  SessionServerOptions,
} from './sessionServerOptions.ts'

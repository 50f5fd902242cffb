// "guru-comms": the one line between an app and its backend. Re-exports only.

export type * from './ApiClient.ts'
export {
  AbortError,
  ApiClient,
  ApiError,
  BulkheadError,
  CircuitBreaker,
  CircuitBreakerError,
  CommsError,
  NetworkError,
  RateLimitError,
  SchemaError,
  TimeoutError,
} from './ApiClient.ts'
export {
  type AskOptions,
  type AssistantMessage,
  Endpoint,
  type EndpointOptions,
  type EndpointRoutes,
  MAX_TEXT_LENGTH,
  type Reply,
  ReplyError,
  type ReplyFailure,
  type UserMessage,
} from './Endpoint.ts'
export {
  type CloseInfo,
  type ConnectionEvents,
  type ConnectionState,
  type ConnectionStats,
  type DeriveStatus,
  type DroppedMessage,
  type DropReason,
  GuruConnection,
  type GuruConnectionOptions,
  type LostSession,
  type MessageTypes,
  type Provider,
  type Receipt,
  type ReportedError,
  type RequestOptions as ConnectionRequestOptions,
  type Status,
  type StatusEvent,
  type WebSocketClass,
  type WebSocketLike,
} from './GuruConnection.ts'
export { ValidationError } from './security/ValidationError.ts'

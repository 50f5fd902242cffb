// What the assistant is doing, as far as the traffic tells. One pure function; an app may put its own in its place.

/** What a user sees: `waiting` while disconnected, `error` when the line has been given up. */
export type Status = 'idle' | 'listening' | 'thinking' | 'speaking' | 'waiting' | 'error'

/** What has happened: the line opened, was lost or given up; audio or a message went up; a message came down. */
export type StatusEvent = 'open' | 'down' | 'failed' | 'audio' | 'sent' | 'received'

/**
 * The next status.
 * @param message the message of `sent` and `received`: parsed JSON where it was JSON
 */
export type DeriveStatus = (status: Status, event: StatusEvent, message?: unknown) => Status

const STATUSES: readonly unknown[] = [
  'idle',
  'listening',
  'thinking',
  'speaking',
  'waiting',
  'error',
] satisfies Status[]

const BY_EVENT: Readonly<Record<Exclude<StatusEvent, 'sent' | 'received'>, Status>> = {
  open: 'idle',
  down: 'waiting',
  failed: 'error',
  audio: 'listening',
}

/**
 * The default: audio up is listening, a question sent is thinking, a reply that flows is speaking, its end is idle;
 * a server message's own `state` overrides all of these.
 */
export const deriveStatus: DeriveStatus = (status, event, message) => {
  if (event !== 'received' && event !== 'sent') return BY_EVENT[event]
  if (typeof message !== 'object' || message === null) return status
  const said = message as Record<string, unknown>
  if (event === 'sent') return said.role === 'user' || said.type === 'message' ? 'thinking' : status
  // While a reply flows each of its pieces says the same: not looked up again.
  if (said.state === status) return status
  if (STATUSES.includes(said.state)) return said.state as Status
  if (said.role !== 'assistant' && said.request_id === undefined) return status
  if (said.end) return 'idle'
  return said.start || said.content !== undefined ? 'speaking' : status
}

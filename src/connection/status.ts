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

const STATUSES: ReadonlySet<unknown> = new Set<Status>([
  'idle',
  'listening',
  'thinking',
  'speaking',
  'waiting',
  'error',
])

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
  const { role, type, state, end, start, content, request_id: question } = message as Record<string, unknown>
  if (event === 'sent') return role === 'user' || type === 'message' ? 'thinking' : status
  if (state !== undefined && STATUSES.has(state)) return state as Status
  if (role !== 'assistant' && question === undefined) return status
  if (end) return 'idle'
  return start || content !== undefined ? 'speaking' : status
}

/**
 * Whether the default function or the line itself could need to look into this text. It lets messages that
 * nobody listens to pass unparsed.
 */
export function concernsTheLine(text: string): boolean {
  return /"(?:ping|pong|heartbeat|state|role|request_id)"/.test(text)
}

// What a user's client may say, told apart and checked. It knows no socket and does nothing: whoever carries the messages, a
// plain WebSocket or a session, acts on what this says.

import type { JsonLimits } from '../core/parseJson.ts'
import type { Question } from './responder.ts'

/** The longest text of a question, in UTF-16 code units, as clients keep it, too. */
export const MAX_TEXT_LENGTH = 100_000
const MAX_ID_LENGTH = 200
const MAX_OFFSET_LENGTH = 100
/** A message is a few members; what else it brings is ignored, and must not cost much. */
export const USER_JSON: JsonLimits = { maxValues: 1000 }

export type UserMessage =
  | { readonly kind: 'question'; readonly question: Question }
  | { readonly kind: 'stop'; readonly id: string }
  /** Wants to hear an answer that is kept, from an offset on. */
  | { readonly kind: 'resume'; readonly id: string; readonly offset: string | undefined }
  | { readonly kind: 'ping'; readonly timestamp: number | undefined }
  | { readonly kind: 'pong' }
  /** Live audio that came as base64. */
  | { readonly kind: 'audio'; readonly bytes: number }
  /** `id` is that of the question that is refused, if it was one and had one. */
  | { readonly kind: 'wrong'; readonly id: string | undefined; readonly reason: string }

/** Reads a message that is parsed already. */
export function readUserMessage(value: unknown): UserMessage {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return wrong(undefined, 'a JSON object is expected')
  }
  const message = value as Record<string, unknown>
  const { type, id, timestamp, data } = message
  switch (type) {
    case 'message':
      return readQuestion(message)
    case 'stop':
      return typeof id === 'string' ? { kind: 'stop', id } : wrong(undefined, '"id" must be a string')
    case 'resume':
      return readResume(message)
    case 'ping':
    case 'heartbeat':
      return { kind: 'ping', timestamp: typeof timestamp === 'number' ? timestamp : undefined }
    case 'pong':
      return { kind: 'pong' }
    case 'audio':
      return typeof data === 'string'
        ? { kind: 'audio', bytes: Math.floor((data.length * 3) / 4) }
        : wrong(undefined, '"data" must be a string')
    default:
      return wrong(id, 'unknown type')
  }
}

function readQuestion({ id, content, image }: Record<string, unknown>): UserMessage {
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH) {
    return wrong(undefined, `"id" must be a string of 1 to ${MAX_ID_LENGTH} characters`)
  }
  if (typeof content !== 'string' || content === '' || content.length > MAX_TEXT_LENGTH) {
    return wrong(id, `"content" must be a string of 1 to ${MAX_TEXT_LENGTH} characters`)
  }
  if (image !== undefined && typeof image !== 'string') return wrong(id, '"image" must be a string')
  return { kind: 'question', question: image === undefined ? { id, content } : { id, content, image } }
}

function readResume({ id, offset }: Record<string, unknown>): UserMessage {
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH) {
    return wrong(undefined, `"id" must be a string of 1 to ${MAX_ID_LENGTH} characters`)
  }
  if (offset === undefined || (typeof offset === 'string' && offset.length <= MAX_OFFSET_LENGTH))
    return { kind: 'resume', id, offset }
  return wrong(id, '"offset" must be one that a piece of the answer brought')
}

function wrong(id: unknown, reason: string): UserMessage {
  const named = typeof id === 'string' && id.length <= MAX_ID_LENGTH ? id : undefined
  return { kind: 'wrong', id: named, reason }
}

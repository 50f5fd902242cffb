// What a request to make a log comes to: a new one, the same that is there, a fork, or a
// conflict. Pure.

import type { LogWrite, StepResult } from './LogStore.ts'
import { type Audience, hasExpired, isJson, type LogHead, mediaType } from './log.ts'

export interface ForkRequest {
  readonly path: string
  /** The position it branches at; `undefined` for the tail. */
  readonly position: number | undefined
  /** How many bytes or messages behind that position it takes over besides. */
  readonly subOffset: number
  /** The position after the record that holds `position`: no sub-offset reaches beyond. */
  readonly boundary: number
}

export interface CreateRequest {
  readonly path: string
  /** For a log that is made anew. */
  readonly id: string
  readonly owner: string
  readonly audience: Audience
  readonly local: boolean
  /** `undefined`: that of the source, or bytes. */
  readonly contentType: string | undefined
  readonly ttlSeconds: number | undefined
  readonly expiresAt: number | undefined
  readonly expiresAtText: string | undefined
  readonly closed: boolean
  readonly leaseUntil?: number | undefined
  /** Its first content; read for the content type that it turns out to have. */
  readonly content: (contentType: string) => { units: number; data: Uint8Array } | 'malformed' | undefined
  readonly fork: ForkRequest | undefined
}

export type CreateResult =
  | { readonly kind: 'created'; readonly head: LogHead }
  /** There is one, and it is the same. */
  | { readonly kind: 'exists'; readonly head: LogHead }
  | { readonly kind: 'conflict'; readonly reason: string; readonly head?: LogHead }
  | { readonly kind: 'noSource' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'tooLarge' }

export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'

/** @param heads that of the path, and that of the source of a fork */
export function createStep(
  [known, source]: readonly (LogHead | undefined)[],
  request: CreateRequest,
  maxBytes: number,
  now: number,
): StepResult<CreateResult> {
  if (known && !hasExpired(known, now)) return none(sameOrConflict(known, source, request))
  const { fork, path } = request
  if (fork && (!source || hasExpired(source, now))) return none({ kind: 'noSource' })
  if (fork && source?.removed) return none({ kind: 'conflict', reason: 'the source has been removed' })
  const branch = fork && source ? branchOf(source, fork) : undefined
  if (typeof branch === 'string') return none({ kind: 'invalid', reason: branch })
  const contentType = request.contentType ?? source?.contentType ?? DEFAULT_CONTENT_TYPE
  if (fork && source && mediaType(contentType) !== mediaType(source.contentType))
    return none({ kind: 'conflict', reason: 'a fork has the content type of its source' })
  const content = request.content(contentType)
  if (content === 'malformed') return none({ kind: 'invalid', reason: 'the body is no JSON' })
  const ownTime = request.ttlSeconds !== undefined || request.expiresAt !== undefined
  const time = ownTime || !fork || !source ? request : source
  const start = branch ?? 0
  const inherited = source && branch !== undefined ? inheritedBytes(source, branch) : 0
  const bytes = inherited + (content?.data.length ?? 0)
  if (bytes > maxBytes) return none({ kind: 'tooLarge' })
  const head: LogHead = {
    path,
    id: request.id,
    owner: request.owner,
    audience: request.audience,
    local: request.local,
    contentType,
    tail: start + (content?.units ?? 0),
    bytes,
    state: request.closed ? 'complete' : 'running',
    closed: request.closed,
    closedBy: undefined,
    lastSeq: undefined,
    producers: {},
    ttlSeconds: time.ttlSeconds,
    expiresAt: time.expiresAt,
    expiresAtText: time.expiresAtText,
    usedAt: now,
    leaseUntil: request.closed ? undefined : request.leaseUntil,
    forkedFrom: fork &&
      source && {
        path: source.path,
        id: source.id,
        position: fork.position ?? source.tail,
        subOffset: fork.subOffset,
      },
    forks: 0,
    removed: false,
  }
  const writes: LogWrite[] = [
    { kind: 'remove', path, head: false },
    { kind: 'put', head },
  ]
  if (fork && source) {
    writes.push({ kind: 'copy', from: source.path, to: path, until: start })
    writes.push({ kind: 'put', head: { ...source, forks: source.forks + 1 } })
  }
  if (content && content.units > 0)
    writes.push({ kind: 'append', path, record: { position: start, ...content } })
  return { result: { kind: 'created', head }, writes }
}

function none(result: CreateResult): StepResult<CreateResult> {
  return { result, writes: [] }
}

/** The position that a fork branches at, or what is wrong with it. */
function branchOf(
  source: LogHead,
  { position = source.tail, subOffset, boundary }: ForkRequest,
): number | string {
  if (position > source.tail) return 'Stream-Fork-Offset is beyond the end of the source'
  if (subOffset === 0) return position
  if (position + subOffset > boundary) return 'Stream-Fork-Sub-Offset is beyond the next boundary'
  return position + subOffset
}

/** An upper bound for messages, whose sizes the head does not know. */
function inheritedBytes(source: LogHead, branch: number): number {
  return isJson(source) ? source.bytes : branch
}

function sameOrConflict(
  known: LogHead,
  source: LogHead | undefined,
  { contentType, ttlSeconds, expiresAt, closed, fork, owner }: CreateRequest,
): CreateResult {
  const differs = (reason: string): CreateResult => ({ kind: 'conflict', reason, head: known })
  if (known.removed) return differs('it was removed and still has forks')
  if (known.owner !== owner) return differs("it is somebody else's")
  const { forkedFrom } = known
  if (fork ? forkedFrom?.path !== fork.path : forkedFrom) return differs('it is not from the same source')
  if (fork && forkedFrom) {
    const position = fork.position ?? (source?.id === forkedFrom.id ? forkedFrom.position : -1)
    if (position !== forkedFrom.position || fork.subOffset !== forkedFrom.subOffset)
      return differs('it branches elsewhere')
  }
  const type = contentType ?? (fork ? known.contentType : DEFAULT_CONTENT_TYPE)
  if (mediaType(type) !== mediaType(known.contentType)) return differs('it has another content type')
  const ownTime = ttlSeconds !== undefined || expiresAt !== undefined
  if (!fork || ownTime) {
    if (ttlSeconds !== known.ttlSeconds || expiresAt !== known.expiresAt)
      return differs('it has another time to live')
  }
  if (closed !== known.closed) return differs(known.closed ? 'it is closed' : 'it is not closed')
  return { kind: 'exists', head: known }
}

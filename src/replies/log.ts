// A log: what its head says of it, and the records it is made of. Plain data, so that any store
// can keep it.

/**
 * How a reply stands. A log that others write over HTTP is `running` until it is closed, then
 * `complete`.
 */
export type ReplyState = 'running' | 'complete' | 'failed' | 'stopped' | 'interrupted'

/** Who may read and stop it besides its owner: nobody, or everybody who is authenticated. */
export type Audience = 'owner' | 'everyone'

/** What is known of a writer that numbers its requests. */
export interface ProducerState {
  readonly epoch: number
  /** The number of its latest request. */
  readonly seq: number
  /** When that was, on the wall clock. */
  readonly at: number
}

/** One request of such a writer. */
export interface ProducerRequest {
  readonly id: string
  readonly epoch: number
  readonly seq: number
}

/** Where a log was forked from. */
export interface ForkOrigin {
  readonly path: string
  /** The `id` of that log: a later one at the same path is another. */
  readonly id: string
  /** What was asked for, to recognise the same request. */
  readonly position: number
  readonly subOffset: number
}

export interface LogHead {
  readonly path: string
  /** Unique, over removal and making anew. */
  readonly id: string
  /** Whose it is; empty where nobody is authenticated. */
  readonly owner: string
  readonly audience: Audience
  /** Written by code of the server alone: over HTTP it can be read and stopped. */
  readonly local: boolean
  /** As it was given, for the answers; compared without regard to case or parameters. */
  readonly contentType: string
  /** The position after the last record. */
  readonly tail: number
  /** Bytes of all records. */
  readonly bytes: number
  readonly state: ReplyState
  /** Nothing more will be appended. */
  readonly closed: boolean
  /** The numbered request that closed it: the same again is no conflict. */
  readonly closedBy: ProducerRequest | undefined
  /** The latest `Stream-Seq`. */
  readonly lastSeq: string | undefined
  readonly producers: Readonly<Record<string, ProducerState>>
  /** Seconds without a read or a write after which it is gone. */
  readonly ttlSeconds: number | undefined
  /** When it is gone whatever happens, on the wall clock. */
  readonly expiresAt: number | undefined
  /** As it was asked for. */
  readonly expiresAtText: string | undefined
  /** When it was last read or written. */
  readonly usedAt: number
  /** Until when its producer is taken to live; `undefined` where nobody has promised to say. */
  readonly leaseUntil: number | undefined
  readonly forkedFrom: ForkOrigin | undefined
  /** How many logs were forked from it and still exist. */
  readonly forks: number
  /** It was removed while there were forks: its place stays taken until they are gone. */
  readonly removed: boolean
}

/** What one append added. */
export interface LogRecord {
  /** Of its first byte or message. */
  readonly position: number
  /** How many bytes or messages. */
  readonly units: number
  /** Messages are JSON texts without a line break, with a line break between them. */
  readonly data: Uint8Array
}

/** The part of a content type that decides: `text/plain; charset=utf-8` is `text/plain`. */
export function mediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] as string).trim().toLowerCase()
}

export function isJson({ contentType }: Pick<LogHead, 'contentType'>): boolean {
  return mediaType(contentType) === 'application/json'
}

/** Whether its time is over. */
export function hasExpired({ ttlSeconds, expiresAt, usedAt }: LogHead, now: number): boolean {
  if (expiresAt !== undefined && now >= expiresAt) return true
  return ttlSeconds !== undefined && now >= usedAt + ttlSeconds * 1000
}

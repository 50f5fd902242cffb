// The figures of guru.v1 that both sides have to agree on.

/** The highest number a message can have (a u32): there is no wrap. */
export const MAX_NUMBER = 4_294_967_295

/** Acknowledge at the latest after so many messages, so many bytes, or so long: whichever comes first. */
export const ACK_MESSAGES = 32
export const ACK_BYTES = 64 * 1024
export const ACK_DELAY_MS = 200

/** A server gives its client so long for the first frame, and so many characters. */
export const FIRST_FRAME_MS = 10_000
export const FIRST_FRAME_LENGTH = 4096

/** A server can ask its client to leave within so long; what is longer counts as this. */
export const MAX_GOAWAY_MS = 3_600_000

/** How much one side may have unacknowledged; the server states them in `opened`, they hold both ways. */
export interface WindowLimits {
  /** Messages that have a number and no acknowledgement. */
  maxMessages: number
  /** Their payload bytes together. */
  maxBytes: number
  /** Payload bytes of one message; never above `maxBytes`. */
  maxFrame: number
}

/** What one sender may keep in the backlog behind its window: its own affair, the other side does not see it. */
export interface BacklogLimits {
  readonly maxQueueMessages: number
  readonly maxQueueBytes: number
  /** What gives way when that is full. */
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
}

export const windowDefaults: WindowLimits = {
  maxMessages: 1024,
  maxBytes: 4 * 2 ** 20,
  maxFrame: 2 ** 20,
}

export const backlogDefaults: BacklogLimits = {
  maxQueueMessages: 10_000,
  maxQueueBytes: 16 * 2 ** 20,
  overflow: 'drop-oldest',
}

// What is read from a table, looked at before it is believed: a file can be damaged, or somebody else's.

import type { SQLOutputValue } from 'node:sqlite'
import { type Entry, NEVER } from '../../session/entry.ts'
import { type Payload, TEXT } from '../../session/frames.ts'
import type { WindowLimits } from '../../session/limits.ts'
import { StorageError } from '../StorageError.ts'

export type Row = Record<string, SQLOutputValue>

export function textOf(row: Row, column: string): string {
  const value = row[column]
  return typeof value === 'string' ? value : damaged(column)
}

/** A whole number that is not negative. */
export function countOf(row: Row, column: string): number {
  const value = row[column]
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : damaged(column)
}

/** A length of time, or a moment, or `NEVER`. */
export function timeOf(row: Row, column: string): number {
  const value = row[column]
  const known = typeof value === 'number' && (value >= 0 || value === NEVER)
  return known ? (value as number) : damaged(column)
}

export function limitsOf(row: Row): WindowLimits {
  return {
    maxMessages: countOf(row, 'max_messages'),
    maxBytes: countOf(row, 'max_bytes'),
    maxFrame: countOf(row, 'max_frame'),
  }
}

export function entryOf(row: Row): Entry {
  return {
    seq: countOf(row, 'seq'),
    stream: streamOf(row),
    payload: payloadOf(row),
    bytes: countOf(row, 'bytes'),
    priority: priorityOf(row),
    expiresAt: timeOf(row, 'expires_at'),
  }
}

function streamOf({ stream }: Row): number {
  const known = Number.isInteger(stream) && (stream as number) >= TEXT && (stream as number) <= 255
  return known ? (stream as number) : damaged('stream')
}

function payloadOf({ payload }: Row): Payload {
  const known = typeof payload === 'string' || payload instanceof Uint8Array
  return known ? (payload as Payload) : damaged('payload')
}

function priorityOf({ priority }: Row): number {
  return Number.isSafeInteger(priority) ? (priority as number) : damaged('priority')
}

function damaged(column: string): never {
  throw new StorageError(`the file is damaged, or somebody else's: "${column}" holds what it cannot`, {
    reason: 'corrupt',
  })
}

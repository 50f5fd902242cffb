// The protocol's own conformance suite, against a backend that serves replies, on every store.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'
import { type Backend, createBackend, type LogStore, Replies } from 'guru-comms/server'
import { sqliteLogStore } from 'guru-comms/storage/sqlite'
import { afterAll, beforeAll, describe } from 'vitest'

const LONG_POLL_MS = 2000
const MANY = 100_000

function suite(makeStore: () => LogStore | undefined): void {
  // The suite reads the address when its tests run.
  const config = { baseUrl: '', longPollTimeoutMs: 60_000 }
  let backend: Backend
  let replies: Replies

  beforeAll(async () => {
    replies = new Replies({
      store: makeStore(),
      path: '/v1/stream',
      longPollMs: LONG_POLL_MS,
      maxReplies: MANY,
      maxRepliesPerOwner: MANY,
      maxReaders: MANY,
    })
    backend = await createBackend({ port: 0, replies, allowedOrigins: ['https://example.com'] })
    config.baseUrl = backend.url
  })

  afterAll(async () => {
    await backend.close({ graceMs: 0 })
    await replies.close()
  })

  runConformanceTests(config)
}

// Its streams live for a second where it tests their end: on a slow machine one may be over before it is looked at.
const PATIENT = { retry: 3 }

describe('in memory', PATIENT, () => suite(() => undefined))

// What differs is the store: its own tests are quick, this is their proof.
describe.runIf(process.env.GURU_PROOFS === 'long')('in a file of SQLite', PATIENT, () => {
  const folder = mkdtempSync(join(tmpdir(), 'guru-streams-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  suite(() => sqliteLogStore({ file: join(folder, 'replies.db') }))
})

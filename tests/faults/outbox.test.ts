// A client that is killed at random instants and started again, and what the server and the client's own database hold.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Session, SessionServer } from 'guru-comms/server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../support/misbehavingServer.ts'

const RUNS = 12

describe('a client that is killed with kill -9, again and again', () => {
  const folder = mkdtempSync(join(tmpdir(), 'guru-killed-'))
  const file = join(folder, 'outbox.db')
  const http = createServer()
  const server = new SessionServer()
  const handled: string[] = []
  const sessions: Session[] = []
  /** By run: the highest number that the client was told is recorded. */
  const told: number[] = []
  let pushed = 0

  beforeAll(async () => {
    server.onSession((session) => {
      sessions.push(session)
      session.handle((message) => void handled.push(String(message)))
    })
    server.attach(http)
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
  })
  afterAll(async () => {
    await server.close({ graceMs: 0 })
    http.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Starts a client, has it work, and kills it after `ms`, or when `done`. */
  async function live(run: number, ms: number, done?: () => boolean): Promise<void> {
    const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`
    const script = join(import.meta.dirname, 'outboxClient.mjs')
    const child = spawn(process.execPath, [script, url, file, `${run}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const gone = once(child, 'exit')
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    // From the first that is recorded on: the start of a process takes as long as it takes.
    await once(child.stdout, 'data')
    const pushing = setInterval(() => {
      const session = sessions.at(-1)
      // Each costs the client a write to the disk: the last ones have enough to do.
      if (!session || run >= RUNS) return
      pushed += 1
      session.send(pushed)
    }, 4)
    if (done) await until(done, 'the last messages')
    else await new Promise((resolve) => setTimeout(resolve, ms))
    clearInterval(pushing)
    child.kill('SIGKILL')
    await gone
    told[run] = Number(said.split('\n').at(-2) ?? 0)
  }

  it('loses nothing that was recorded, doubles nothing, and keeps the order, both ways', async () => {
    // Once a message is handled, the session is recorded at the client: there is one for all runs.
    await live(0, 0, () => handled.includes('0:5'))
    for (let run = 1; run < RUNS; run += 1) await live(run, Math.random() * 120)
    // The last one has the time to bring all that its predecessors left.
    const before = pushed
    await live(RUNS, 0, () => handled.includes(`${RUNS}:20`))
    let looks = 0
    const seldom = () => {
      looks += 1
      return looks % 20 === 0
    }
    await live(RUNS + 1, 0, () => seldom() && noted().length >= before)

    expect(sessions).toHaveLength(1)
    expect(told.filter((n) => n > 0)).toHaveLength(RUNS + 2)
    for (let run = 0; run <= RUNS; run += 1) {
      const of = handled.filter((text) => text.startsWith(`${run}:`))
      expect(of).toEqual(Array.from({ length: of.length }, (_, index) => `${run}:${index + 1}`))
      expect(of.length).toBeGreaterThanOrEqual(told[run] as number)
    }
    expect(handled).toEqual(handled.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)))
    const notes = noted()
    expect(notes.length).toBeGreaterThanOrEqual(before)
    expect(notes.toSorted((a, b) => a - b).slice(0, before)).toEqual(
      Array.from({ length: before }, (_, index) => index + 1),
    )
  })

  /** What the client's handlers recorded. */
  function noted(): number[] {
    const database = new DatabaseSync(file, { readOnly: true })
    try {
      return database
        .prepare('SELECT text FROM note')
        .all()
        .map(({ text }) => Number(text))
    } catch {
      return []
    } finally {
      database.close()
    }
  }
})

// Sessions that are recorded: what is told is recorded first, and what was recorded outlives the server.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { FrameClient, listen } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { MemorySessionDisk, type MemorySessionStore } from '../testing/MemorySessionStore.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import type { Session, SessionMessageContext } from './Session.ts'
import { SessionServer } from './SessionServer.ts'
import type { SessionServerOptions } from './sessionServerOptions.ts'

interface Running {
  readonly server: SessionServer
  readonly store: MemorySessionStore
  readonly port: number
  readonly sessions: Session[]
  readonly handled: string[]
  readonly contexts: SessionMessageContext[]
  readonly errors: unknown[]
}

const running: { end(): Promise<void> }[] = []
const clients: FrameClient[] = []

/** Another server process on the same disk. */
async function start(
  disk: MemorySessionDisk,
  onSession: (session: Session, running: Running) => void = (session, { handled, contexts }) =>
    session.handle((data, context) => {
      contexts.push(context)
      handled.push(String(data))
    }),
  options: SessionServerOptions & { prepare?: (store: MemorySessionStore) => void } = {},
): Promise<Running> {
  const http = await listen()
  const store = disk.store()
  const { prepare, ...rest } = options
  prepare?.(store)
  const server = new SessionServer({ store, ...rest })
  const made: Running = {
    server,
    store,
    port: http.port,
    sessions: [],
    handled: [],
    contexts: [],
    errors: [],
  }
  server.on('error', (error) => made.errors.push(error))
  server.onSession((session) => {
    made.sessions.push(session)
    onSession(session, made)
  })
  server.attach(http.http)
  running.push({
    async end() {
      await server.close({ graceMs: 0 })
      await http.close()
    },
  })
  return made
}
/** It is gone at once: what it holds in memory is lost, and its store hears nothing more of it. */
function kill({ store }: Running): void {
  store.close()
}
const client = ({ port }: { port: number }) => {
  const made = new FrameClient(port)
  clients.push(made)
  return made
}
const session = ({ sessions }: Running, index = 0) => sessions[index] as Session
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  for (const each of running.splice(0)) await each.end()
})
const moment = () => new Promise((resolve) => setTimeout(resolve, 20))

describe('what is told is recorded first', () => {
  it('a session before "opened", a message before it is sent, rx before the ack, an epoch before "opened"', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk)
    one.store.hold()
    const first = await client(one).connected()
    first.say({ t: 'open' }, '1:early')
    await moment()
    expect(first.frames).toEqual([])
    expect(one.sessions).toEqual([])
    one.store.release()
    const opened = await first.opened()
    await first.acked(1)
    expect(one.handled).toEqual(['early'])
    expect(disk.sessions.get(opened.sid)).toMatchObject({ rx: 1 })

    one.store.hold()
    let stored = false
    const receipt = session(one).send('x')
    void receipt.stored.then(() => {
      stored = true
    })
    first.say('2:y')
    await until(() => one.handled.length === 2, 'it is handled')
    await moment()
    expect(first.messages).toEqual([])
    expect(stored).toBe(false)
    expect(first.control('ack')).toEqual({ t: 'ack', rx: 1 })
    one.store.release()
    expect(await first.heard(1)).toEqual(['1:x'])
    expect(stored).toBe(true)
    await first.acked(2)

    one.store.hold()
    const second = await client(one).connected()
    second.say({ t: 'resume', sid: opened.sid, key: opened.key, epoch: 1, rx: 1 }, '3:z')
    expect(await first.closing()).toMatchObject({ code: 4409 })
    await moment()
    expect(second.frames).toEqual([])
    one.store.release()
    expect(await second.opened()).toMatchObject({ rx: 2 })
    await second.acked(3)
    expect(disk.sessions.get(opened.sid)).toMatchObject({ epoch: 1, rx: 3 })
    await receipt.delivered
  })

  it('what was acknowledged is forgotten, if late', async () => {
    const disk = new MemorySessionDisk()
    const clock = new VirtualClock()
    const one = await start(disk, undefined, { clock })
    const first = client(one)
    const { sid } = await first.open()
    session(one).send('a')
    session(one).send('b')
    await first.heard(2)
    first.say({ t: 'ack', rx: 1 }, { t: 'ping', at: 1 })
    await until(() => first.control('pong') !== undefined, 'the ack has come')
    expect([...(disk.sessions.get(sid)?.numbered.keys() ?? [])]).toEqual([1, 2])
    // Due while another write is under way.
    one.store.hold()
    session(one).send('c')
    await moment()
    await clock.advance(1000)
    one.store.release()
    await first.heard(3)
    await clock.advance(1000)
    await until(() => disk.sessions.get(sid)?.acked === 1, 'it is forgotten')
    expect([...(disk.sessions.get(sid)?.numbered.keys() ?? [])]).toEqual([2, 3])
  })

  it('the key is not what is recorded', async () => {
    const disk = new MemorySessionDisk()
    const { sid, key } = await client(await start(disk)).open()
    expect(JSON.stringify(disk.sessions.get(sid)?.head)).not.toContain(key)
  })
})

describe('after the death of the server', () => {
  it('sessions go on: what was not handled is flagged and has the same id, what was not acknowledged is sent again', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk, (made, { handled }) =>
      made.handle((data) => {
        handled.push(String(data))
        return data === 'slow' ? new Promise(() => {}) : undefined
      }),
    )
    const first = client(one)
    const opened = await first.open()
    first.say('1:quick')
    await first.acked(1)
    first.say('2:slow', '3:quick too')
    session(one).send('a')
    session(one).send(Uint8Array.of(7), { stream: 2 })
    session(one).send('c')
    await first.heard(2)
    await until(() => one.handled.length === 3, 'all have begun')
    kill(one)

    const two = await start(disk)
    await two.server.restored
    expect(two.sessions.map(({ id, connected }) => [id, connected])).toEqual([[opened.sid, false]])
    const late = session(two).send('d')
    const second = client(two)
    expect(await second.resume(opened, 1, 1, '2:slow', '3:quick too', '4:new')).toMatchObject({ rx: 1 })
    expect(await second.heard(2)).toEqual(['3:c', '4:d'])
    expect(second.frames).toContain('01020000000207')
    await second.acked(4)
    expect(two.handled).toEqual(['slow', 'quick too', 'new'])
    expect(two.contexts.map(({ id }) => id)).toEqual([2, 3, 4].map((number) => `${opened.sid}/${number}`))
    expect(two.contexts.map(({ redelivered }) => redelivered)).toEqual([true, true, true])
    expect(two.server.getStats()).toMatchObject({ redelivered: 3, resumes: 1 })
    second.say({ t: 'ack', rx: 4 })
    await late.delivered
  })

  it('a handler that records in the transaction is not begun again, and no other is lost', async () => {
    const disk = new MemorySessionDisk()
    const more = Promise.withResolvers<void>()
    const exact = (made: Session, { handled }: Running) =>
      made.handle(async (data, { record }) => {
        handled.push(String(data))
        if (data === 'slow') await more.promise
        await record((effects: unknown[]) => effects.push(data))
      })
    const one = await start(disk, exact)
    const first = client(one)
    const opened = await first.open()
    first.say('1:slow', '2:b', '3:c')
    await until(() => disk.effects.length === 2, 'two have recorded')
    kill(one)
    const two = await start(disk, exact)
    const second = client(two)
    more.resolve()
    await second.resume(opened, 1, 0, '1:slow', '2:b', '3:c', '4:d')
    await second.acked(4)
    expect(two.handled).toEqual(['slow', 'd'])
    expect(disk.effects.toSorted()).toEqual(['b', 'c', 'd', 'slow'])
    expect(disk.sessions.get(opened.sid)).toMatchObject({ rx: 4, done: new Set() })
  })

  it('a session that nobody resumes expires, and the store forgets it', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk, undefined, { ttl: 40 })
    await client(one).open()
    session(one).send('never heard')
    await until(() => session(one).queuedMessages === 1, 'it is kept')
    await moment()
    kill(one)
    const ends: unknown[] = []
    await start(disk, (made) => made.on('lost', (end) => ends.push(end)))
    await until(() => ends.length === 1 && disk.sessions.size === 0, 'it expires')
    expect(ends).toEqual([{ reason: 'expired', inDoubt: [{ id: 'm1', data: 'never heard' }] }])
  })

  it('while sessions are taken up, frames wait in order', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk)
    const opened = await client(one).open()
    kill(one)
    const two = await start(disk, undefined, { prepare: (store) => store.hold() })
    const second = await client(two).connected()
    const texts = Array.from({ length: 100 }, (_, index) => String(index))
    second.say({ t: 'resume', sid: opened.sid, key: opened.key, epoch: 1, rx: 0 })
    second.say(...texts.map((text, index) => `${index + 1}:${text}`))
    await moment()
    expect(two.sessions).toEqual([])
    two.store.release()
    await second.opened()
    await second.acked(100)
    expect(two.handled).toEqual(texts)
  })

  it('close leaves the sessions to the next', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk)
    const first = client(one)
    const opened = await first.open()
    const receipt = session(one).send('x')
    await first.heard(1)
    await one.server.close({ graceMs: 10 })
    expect(await first.closing()).toMatchObject({ code: 1001 })
    await expect(receipt.delivered).rejects.toMatchObject({ code: 'SESSION_LOST' })
    const two = await start(disk)
    const second = client(two)
    await second.resume(opened, 1, 0)
    expect(await second.heard(1)).toEqual(['1:x'])
  })
})

describe('two servers on one store', () => {
  it('the one that a client comes to takes its session over; the other lets go and reports it', async () => {
    const disk = new MemorySessionDisk()
    const [one, two] = [await start(disk), await start(disk)]
    const ends: unknown[] = []
    const first = client(one)
    const opened = await first.open()
    session(one).on('lost', (end) => ends.push(end))
    first.say('1:a')
    await first.acked(1)
    const second = client(two)
    expect(await second.resume(opened, 1, 0, '2:b')).toMatchObject({ rx: 1 })
    await second.acked(2)
    const fenced = session(one).send('from the one that has lost it')
    await expect(fenced.stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
    expect(await first.closing()).toMatchObject({ code: 1001 })
    expect(ends).toEqual([
      { reason: 'takenOver', inDoubt: [{ id: fenced.id, data: 'from the one that has lost it' }] },
    ])
    session(two).send('from the one that has it')
    expect(await second.heard(1)).toEqual(['1:from the one that has it'])
    expect(two.handled).toEqual(['b'])
  })

  it('one that has just ended is not found again', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk)
    const first = client(one)
    const opened = await first.open()
    one.store.hold()
    session(one).close()
    const second = await client(one).connected()
    second.say({ t: 'resume', sid: opened.sid, key: opened.key, epoch: 1, rx: 0 })
    await moment()
    expect(second.closed).toBeUndefined()
    one.store.release()
    expect(await second.closing()).toMatchObject({ code: 4410 })
    expect(disk.sessions.size).toBe(0)
  })
})

describe('when the store fails', () => {
  it('the session ends, its client and its app are told, nothing is lost in silence', async () => {
    const disk = new MemorySessionDisk()
    const told: unknown[] = []
    const one = await start(disk, (made) => {
      made.on('error', (error) => told.push((error as Error).message))
      made.on('lost', (end) => told.push(end))
    })
    const first = client(one)
    await first.open()
    session(one).send('heard')
    await first.heard(1)
    one.store.fail(new Error('no room'))
    const receipt = session(one).send('not recorded')
    expect(await first.closing()).toMatchObject({ code: 4410 })
    await expect(receipt.stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
    await moment()
    expect(told).toEqual([
      'no room',
      {
        reason: 'storage',
        inDoubt: [
          { id: 'm1', data: 'heard' },
          { id: 'm2', data: 'not recorded' },
        ],
      },
    ])
    expect(first.messages).toEqual(['1:heard'])
  })

  it('one that cannot be looked up is told to come back, and the server says why', async () => {
    const disk = new MemorySessionDisk()
    const [one, two] = [await start(disk), await start(disk)]
    await two.server.restored
    const opened = await client(one).open()
    two.store.fail(new Error('no connection'))
    await expect(client(two).resume(opened, 1, 0)).rejects.toThrow('closed with 1011')
    expect(two.errors).toMatchObject([{ message: 'no connection' }])
    two.store.fail(undefined)
    await client(two).resume(opened, 1, 0)
  })

  it('one that cannot be opened is not, and the next can', async () => {
    const disk = new MemorySessionDisk()
    const one = await start(disk)
    await one.server.restored
    one.store.fail(new Error('no room'))
    await expect(client(one).open()).rejects.toThrow('closed with 4410')
    expect(one.sessions).toEqual([])
    one.store.fail(undefined)
    await client(one).open()
    expect(one.sessions).toHaveLength(1)
  })

  it('what it remembers cannot be read: restored says so', async () => {
    const one = await start(new MemorySessionDisk(), undefined, {
      prepare: (store) => store.fail(new Error('damaged')),
    })
    await expect(one.server.restored).rejects.toThrow('damaged')
    expect(one.errors).toMatchObject([{ message: 'damaged' }])
  })

  it('a store without transactions cannot record', async () => {
    const disk = new MemorySessionDisk()
    const errors: unknown[] = []
    const http = await listen()
    const whole = disk.store()
    const server = new SessionServer({
      store: {
        find: (sid) => whole.find(sid),
        write: (sid, epoch, writes) => whole.write(sid, epoch, writes),
        list: () => whole.list(),
        close: () => {},
      },
    })
    server.onSession((made) => {
      made.on('error', (error) => errors.push((error as { code?: string }).code))
      // Not awaited: it is reported all the same, and once.
      made.handle((_data, { record }) => void record(() => {}))
    })
    server.attach(http.http)
    running.push({
      async end() {
        await server.close({ graceMs: 0 })
        await http.close()
      },
    })
    const one = client(http)
    await one.open()
    one.say('1:x')
    await one.acked(1)
    expect(errors).toEqual(['UNSUPPORTED'])
  })
})

describe('a server on SQLite that is killed', () => {
  /** A process that handles messages by recording them beside its sessions, and answers each. */
  const program = (file: string, port: number) => `
    const { createServer } = await import('node:http')
    const { SessionServer } = await import(${JSON.stringify(join(import.meta.dirname, 'SessionServer.ts'))})
    const { sqliteSessionStore } = await import(${JSON.stringify(join(import.meta.dirname, '../storage/sqlite/SqliteSessionStore.ts'))})
    const store = sqliteSessionStore({ file: ${JSON.stringify(file)} })
    store.database.exec('CREATE TABLE IF NOT EXISTS handled (text TEXT)')
    const insert = store.database.prepare('INSERT INTO handled VALUES (?)')
    const server = new SessionServer({ store })
    server.onSession((session) => session.handle(async (data, { record }) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
      await record(() => insert.run(data))
      session.send('answer to ' + data)
    }))
    const http = createServer()
    server.attach(http)
    http.listen(${port}, '127.0.0.1', () => console.log(http.address().port))
  `
  const children: ChildProcess[] = []
  async function run(file: string, port = 0): Promise<{ child: ChildProcess; port: number }> {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '--no-warnings', '-e', program(file, port)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    children.push(child)
    const [said] = await Promise.race([
      once(child.stdout as NonNullable<typeof child.stdout>, 'data'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the server ended with ${code} before it listened`)
      }),
    ])
    return { child, port: Number(said) }
  }
  async function end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  afterEach(async () => {
    for (const child of children.splice(0)) await end(child)
  })

  it('again and again: every message is handled exactly once, every answer comes in order', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guru-killed-'))
    const file = join(folder, 'sessions.db')
    try {
      let { child, port } = await run(file)
      let line = client({ port })
      const opened = await line.open()
      const total = 300
      let acked = 0
      const answers: string[] = []
      // A client by hand: it keeps what is not acknowledged, and counts the answers it has taken.
      const take = () => {
        acked = Math.max(acked, (line.control('ack')?.rx as number) ?? 0)
        for (const frame of line.messages) {
          const [, number, text] = /^(\d+):(.*)$/.exec(frame) ?? []
          if (Number(number) === answers.length + 1) answers.push(text as string)
        }
      }
      line.say(...Array.from({ length: total }, (_, index) => `${index + 1}:m${index + 1}`))
      for (let round = 1; round <= 6; round += 1) {
        await new Promise((resolve) => setTimeout(resolve, 5 + 40 * Math.random()))
        await end(child)
        await line.closing()
        take()
        ;({ child, port } = await run(file, port))
        line = client({ port })
        await line.connected()
        line.say({ t: 'resume', sid: opened.sid, key: opened.key, epoch: round, rx: answers.length })
        const { rx } = await line.opened()
        expect(rx).toBeGreaterThanOrEqual(acked)
        // What it says here needs no ack any more.
        acked = rx as number
        for (let number = rx + 1; number <= total; number += 1) line.say(`${number}:m${number}`)
      }
      await until(
        () => {
          take()
          return acked === total
        },
        'all are acknowledged',
        20_000,
      )
      const database = new DatabaseSync(file)
      const rows = database.prepare('SELECT text FROM handled').all()
      database.close()
      expect(rows).toHaveLength(total)
      expect(new Set(rows.map(({ text }) => text)).size).toBe(total)
      // One that died between its record and its answer has answered nobody; no answer came twice.
      expect(new Set(answers).size).toBe(answers.length)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

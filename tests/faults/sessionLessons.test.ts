// What burned the users of other libraries, with a session on real sockets and in real processes.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GuruConnection } from 'guru-comms'
import { SessionServer } from 'guru-comms/server'
import { sqliteOutbox, sqliteSessionStore } from 'guru-comms/storage/sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from './sessionRun.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'guru-lessons-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs a program that uses the built package; what it said, and how it ended. */
async function run(script: string): Promise<{ code: number | null; said: string; complained: string }> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--no-warnings', '--input-type=module', '-e', script],
    { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  cleanups.push(() => child.kill('SIGKILL'))
  let said = ''
  let complained = ''
  child.stdout?.on('data', (data) => {
    said += data
  })
  child.stderr?.on('data', (data) => {
    complained += data
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, said: said.trim(), complained: complained.trim() }
}

/** A server of sessions. @param handled what its handlers are given */
async function serve(handled: unknown[], file?: string): Promise<{ port: number; sessions: SessionServer }> {
  const store = file ? sqliteSessionStore({ file, synchronous: 'normal' }) : undefined
  const sessions = new SessionServer({ ...(store && { store }) })
  sessions.onSession((session) => session.handle((message) => void handled.push(message)))
  const http = createServer()
  sessions.attach(http)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  cleanups.push(async () => {
    await sessions.close({ graceMs: 0 })
    http.close()
    store?.close()
  })
  return { port: (http.address() as AddressInfo).port, sessions }
}

/** Takes connections and says nothing. */
async function serveSilence(): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

describe('a process', () => {
  it.each(['off', 'auto', 'required'])(
    'lives on when an attempt runs into its timeout, is closed or disposed of while it is connecting (session "%s")',
    async (session) => {
      const url = `ws://127.0.0.1:${await serveSilence()}`
      const { code, said, complained } = await run(`
        import { GuruConnection } from 'guru-comms'
        const options = { url: '${url}', session: '${session}', healthUrl: false, reconnectDelay: 1 }
        const impatient = new GuruConnection({ ...options, connectTimeout: 50 })
        let timeouts = 0
        impatient.on('error', ({ code }) => {
          if (code !== 'TIMEOUT') console.log(code)
          timeouts += 1
          if (timeouts === 3) impatient.dispose()
        })
        for (const end of ['close', 'dispose']) {
          const connection = new GuruConnection(options)
          connection.on('error', ({ code }) => console.log(end, code))
          setTimeout(() => connection[end](), 100)
        }
        process.on('exit', () => console.log('timeouts', timeouts))`)
      expect({ code, said, complained }).toEqual({ code: 0, said: 'timeouts 3', complained: '' })
    },
  )

  it('with a session and an outbox ends by itself once all is disposed of, and takes the session up in its next life', async () => {
    const handled: unknown[] = []
    const { port, sessions } = await serve(handled)
    const file = join(newFolder(), 'outbox.db')
    const life = (n: number) =>
      run(`
        import { GuruConnection } from 'guru-comms'
        import { sqliteOutbox } from 'guru-comms/storage/sqlite'
        const connection = new GuruConnection({
          url: 'ws://127.0.0.1:${port}/ws', session: 'required', storage: sqliteOutbox({ file: ${JSON.stringify(file)} }),
        })
        await connection.send({ n: ${n} }).delivered
        connection.dispose()
        process.on('exit', () => console.log(process.getActiveResourcesInfo().filter((it) => !/TTY|Pipe/.test(it)).join()))`)
    for (const n of [1, 2]) expect(await life(n)).toEqual({ code: 0, said: '', complained: '' })
    expect(handled).toEqual([{ n: 1 }, { n: 2 }])
    expect(sessions.sessions.size).toBe(1)
  })

  it('with "unref" ends although the session is open; without it stays', async () => {
    const { port } = await serve([])
    const start = (unref: boolean) => `
      import { GuruConnection } from 'guru-comms'
      const connection = new GuruConnection({ url: 'ws://127.0.0.1:${port}/ws', session: 'required', unref: ${unref} })
      const hold = setInterval(() => {}, 1000)
      connection.once('open', () => {
        console.log('open')
        clearInterval(hold)
        // It does not hold the process: it is heard if something else does.
        setTimeout(() => { console.log('stayed'); connection.dispose() }, 500).unref()
      })`
    expect((await run(start(true))).said).toBe('open')
    expect((await run(start(false))).said).toBe('open\nstayed')
  })

  it('that is a server ends by itself when it has closed', async () => {
    const { code, said } = await run(`
      import { createServer } from 'node:http'
      import { GuruConnection } from 'guru-comms'
      import { SessionServer } from 'guru-comms/server'
      const sessions = new SessionServer()
      sessions.onSession((session) => session.handle(() => {}))
      const http = createServer()
      sessions.attach(http)
      await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))
      const connection = new GuruConnection({ url: 'ws://127.0.0.1:' + http.address().port + '/ws', session: 'required' })
      await connection.send('hello').delivered
      connection.dispose()
      await sessions.close()
      http.close()
      process.on('exit', () => console.log(process.getActiveResourcesInfo().filter((it) => !/TTY|Pipe/.test(it)).join()))`)
    expect({ code, said }).toEqual({ code: 0, said: '' })
  })
})

describe('a message that could poison a session', () => {
  it('half a character, NUL, a byte order mark, another frame’s beginning: each arrives, and so does what follows, over a restart', async () => {
    const folder = newFolder()
    const handled: unknown[] = []
    const { port, sessions } = await serve(handled, join(folder, 'server.db'))
    const texts = [
      '\ud800',
      'a\udc00b',
      '\0',
      'a\0b',
      '\ufeffmark',
      '{"t":"close"}',
      '17:',
      ':',
      '\u{1f600}'.repeat(50),
    ]
    const start = () => {
      const connection = new GuruConnection({
        url: `ws://127.0.0.1:${port}/ws`,
        session: 'required',
        healthUrl: false,
        reconnectDelay: 10,
        storage: sqliteOutbox({ file: join(folder, 'client.db'), synchronous: 'normal' }),
      })
      const errors: unknown[] = []
      connection.on('error', (error) => errors.push(error))
      cleanups.push(() => connection.dispose())
      return { connection, errors }
    }
    const first = start()
    for (const text of texts) first.connection.send(text)
    await first.connection.send({ end: 1 }).delivered
    for (const text of texts) first.connection.send(text)
    // They go out again, from what is stored.
    sessions.cut()
    await first.connection.send({ end: 2 }).delivered
    for (const text of texts) first.connection.send(text)
    await first.connection.send({ end: 3 }).stored
    first.connection.dispose()
    const second = start()
    await second.connection.send({ end: 4 }).delivered
    expect(
      [...first.errors, ...second.errors].filter(
        (error) => (error as { code: string }).code !== 'CONNECTION',
      ),
    ).toEqual([])
    // What has no encoding is replaced (WebSocket interface, section 3.1); the rest is as it was, or as the JSON it is.
    const seen = texts.map((text) => (text === '{"t":"close"}' ? { t: 'close' } : text.toWellFormed()))
    expect(handled).toEqual([...seen, { end: 1 }, ...seen, { end: 2 }, ...seen, { end: 3 }, { end: 4 }])
  })

  it('a listener or handler that throws at each message loses none and ends no line', async () => {
    const handled: unknown[] = []
    const { port, sessions } = await serve(handled)
    const connection = new GuruConnection({
      url: `ws://127.0.0.1:${port}/ws`,
      session: 'required',
      healthUrl: false,
    })
    cleanups.push(() => connection.dispose())
    const heard: unknown[] = []
    let errors = 0
    let closes = 0
    connection.on('error', () => {
      errors += 1
    })
    connection.on('close', () => {
      closes += 1
    })
    connection.on('message', () => {
      throw new Error('the app’s')
    })
    connection.handle((message) => {
      heard.push(message)
      throw new Error('the app’s, too')
    })
    await connection.send('hello').delivered
    const [session] = sessions.sessions.values()
    for (const n of [1, 2, 3]) session?.send({ n })
    await session?.send({ n: 4 }).delivered
    await until(() => heard.length === 4)
    expect({ heard, errors, closes }).toEqual({
      heard: [1, 2, 3, 4].map((n) => ({ n })),
      errors: 8,
      closes: 0,
    })
  })
})

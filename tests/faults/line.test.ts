// Real faults on real sockets and processes: each ends in a typed error or a reconnection, and none makes the client spin.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ApiClient, GuruConnection, type GuruConnectionOptions } from 'guru-comms'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Waits until `holds` does; the test's own timeout is the limit. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** A connection that is soon impatient, with what it told. */
function connect(options: GuruConnectionOptions) {
  const connection = new GuruConnection({ reconnectDelay: 50, healthUrl: false, ...options })
  const errors: (Error & { code?: string; phase?: string })[] = []
  const states: string[] = []
  connection.on('error', (error) => errors.push(error))
  connection.on('connectionState', (state) => states.push(state))
  cleanups.push(() => connection.dispose())
  return { connection, errors, states }
}

/** A TCP server that does to each socket what it is told; counts them. */
async function tcpServer(
  onSocket: (socket: Socket) => void,
): Promise<{ port: number; count: () => number; open: () => number }> {
  let count = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    count += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, count: () => count, open: () => sockets.size }
}

async function startProcess(port = 0): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'echoServer.mjs'), String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  cleanups.push(() => child.kill('SIGKILL'))
  const line = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (data: Buffer) => resolve(String(data))),
  )
  return { child, port: Number(line) }
}

const killed = (child: ChildProcess) =>
  new Promise((resolve) => {
    child.once('exit', resolve)
    child.kill('SIGKILL')
  })

describe('a server that dies', () => {
  it('killed and restarted 20 times under a counter every 10 ms: in order, none twice, never two sockets', async () => {
    const heard: number[] = []
    let open = 0
    let most = 0
    let port = 0
    const start = async () => {
      const http = createHttpServer((_request, response) => response.end('ok'))
      const server = new WebSocketServer({ server: http })
      server.on('connection', (socket) => {
        open += 1
        most = Math.max(most, open)
        socket.on('close', () => {
          open -= 1
        })
        socket.on('error', () => {})
        socket.on('message', (data) => heard.push(JSON.parse(String(data)).n))
      })
      await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
      port = (http.address() as AddressInfo).port
      return async () => {
        const gone = [...server.clients].map(
          (client) => new Promise((resolve) => client.once('close', resolve)),
        )
        for (const client of server.clients) client.terminate()
        http.closeAllConnections()
        await new Promise((resolve) => http.close(resolve))
        await Promise.all(gone)
      }
    }
    let kill = await start()
    const { connection } = connect({
      url: `ws://127.0.0.1:${port}`,
      healthUrl: '/v1/health',
      healthInterval: 20,
    })
    let n = 0
    const queued: number[] = []
    const timer = setInterval(() => {
      if (connection.connectionState !== 'open') queued.push(n)
      connection.send({ n })
      n += 1
    }, 10)
    cleanups.push(() => clearInterval(timer))
    for (let restart = 0; restart < 20; restart += 1) {
      await until(() => connection.connectionState === 'open')
      const before = n
      await until(() => n > before + 3)
      await kill()
      await until(() => connection.connectionState !== 'open' && n > before + 8)
      kill = await start()
    }
    await until(() => connection.connectionState === 'open')
    clearInterval(timer)
    await until(() => heard.at(-1) === n - 1)
    cleanups.push(kill)
    expect(heard).toEqual([...heard].sort((one, other) => one - other))
    expect(new Set(heard).size).toBe(heard.length)
    expect(queued.length).toBeGreaterThanOrEqual(20)
    expect(queued.filter((number) => !heard.includes(number))).toEqual([])
    expect(most).toBe(1)
  })

  it('kill -9 and a new process on the same port: what was said meanwhile is answered', async () => {
    const { child, port } = await startProcess()
    const { connection } = connect({ url: `ws://127.0.0.1:${port}` })
    await until(() => connection.connectionState === 'open')
    await killed(child)
    await until(() => connection.connectionState !== 'open')
    const reply = connection.request({ question: 1 }, { timeout: 15_000 })
    await startProcess(port)
    expect(await reply).toMatchObject({ question: 1 })
  })
})

describe('a server that is there and does nothing', () => {
  it('never answers the upgrade: a connect timeout, then another attempt, one socket at a time', async () => {
    const server = await tcpServer((socket) => socket.resume())
    const { errors, states } = connect({ url: `ws://127.0.0.1:${server.port}`, connectTimeout: 100 })
    await until(() => errors.length >= 3)
    for (const error of errors) expect(error).toMatchObject({ code: 'TIMEOUT', phase: 'connect' })
    expect(states.slice(0, 3)).toEqual(['connecting', 'waiting', 'connecting'])
    await until(() => server.open() <= 1)
  })

  it('frozen (SIGSTOP): noticed by the heartbeat, left, and taken up again when it thaws', async () => {
    const { child, port } = await startProcess()
    const { connection, errors } = connect({
      url: `ws://127.0.0.1:${port}`,
      pingInterval: 100,
      pongTimeout: 200,
      connectTimeout: 300,
    })
    await until(() => connection.connectionState === 'open')
    child.kill('SIGSTOP')
    await until(() => errors.length > 0)
    expect(errors[0]).toMatchObject({ code: 'TIMEOUT', phase: 'idle' })
    connection.send({ said: 'while frozen' })
    child.kill('SIGCONT')
    const first = await new Promise((resolve) => connection.once('message', resolve))
    expect(first).toEqual({ said: 'while frozen' })
  })

  it('HTTP: a frozen process ends in a TimeoutError', async () => {
    const { child, port } = await startProcess()
    child.kill('SIGSTOP')
    const client = new ApiClient({
      baseURL: `http://127.0.0.1:${port}`,
      timeout: 100,
      retries: 1,
      retryDelay: 1,
    })
    cleanups.push(() => client.dispose())
    await expect(client.get('/')).rejects.toMatchObject({ code: 'TIMEOUT', attempts: 2 })
  })

  it('HTTP: headers and half a body, then silence, ends in a TimeoutError', async () => {
    const server = await tcpServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"half":')
    })
    const client = new ApiClient({ baseURL: `http://127.0.0.1:${server.port}`, timeout: 100, retries: 0 })
    cleanups.push(() => client.dispose())
    await expect(client.get('/')).rejects.toMatchObject({ code: 'TIMEOUT', phase: 'attempt', timeoutMs: 100 })
  })
})

describe('a server that lies', () => {
  const UPGRADE =
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: '
  const accept = async (request: string) => {
    const key = /sec-websocket-key: (.+)\r\n/i.exec(request)?.[1] ?? ''
    const hash = await crypto.subtle.digest(
      'SHA-1',
      new TextEncoder().encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`),
    )
    return Buffer.from(hash).toString('base64')
  }

  it.each([
    ['noise instead of HTTP', 'noise \0\x01\x02 noise\r\n\r\n'],
    ['another protocol', '220 mail.example ESMTP\r\n'],
    ['a 200 without an upgrade', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'],
    ['a 101 with the wrong key', `${UPGRADE}d3Jvbmc=\r\n\r\n`],
  ])('%s: an error, then backoff', async (_name, answer) => {
    const server = await tcpServer((socket) => socket.once('data', () => socket.end(answer, 'latin1')))
    const { errors } = connect({ url: `ws://127.0.0.1:${server.port}` })
    await until(() => errors.length >= 3)
    for (const error of errors) expect(error.code).toBe('CONNECTION')
  })

  it.each([
    ['a reserved opcode', Buffer.from([0x83, 0x01, 0x41])],
    ['a masked frame', Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])],
    ['text that is no UTF-8', Buffer.from([0x81, 0x02, 0xc3, 0x28])],
    ['a frame of 4 GiB', Buffer.from([0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0])],
    ['noise', Buffer.from('noise noise noise')],
  ])('after the upgrade, %s: never a throw, a new attempt', async (_name, frame) => {
    const server = await tcpServer((socket) => {
      socket.once('data', async (data) => {
        socket.write(`${UPGRADE}${await accept(String(data))}\r\n\r\n`)
        socket.write(frame)
      })
    })
    const { states } = connect({ url: `ws://127.0.0.1:${server.port}` })
    await until(() => states.filter((state) => state === 'open').length >= 2)
    expect(states.slice(0, 4)).toEqual(['connecting', 'open', 'waiting', 'connecting'])
  })

  it('health says 200 and the upgrade is refused: it backs off and does not spin', async () => {
    let upgrades = 0
    const http = createHttpServer((_request, response) => response.end('{"status":"ok"}'))
    http.on('upgrade', (_request, socket) => {
      upgrades += 1
      socket.end('HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => http.close())
    const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`
    const { connection } = connect({
      url,
      healthUrl: '/v1/health',
      healthInterval: 10,
      reconnectDelay: 200,
      jitter: 0,
    })
    const delays: number[] = []
    connection.on('reconnecting', ({ delay }) => delays.push(delay))
    await until(() => delays.length >= 4)
    // One attempt that the healthy answer brought forward; from then on the backoff alone decides.
    expect(upgrades).toBeLessThanOrEqual(4)
    expect(delays).toEqual([200, 400, 800, 1600])
  })
})

describe('afterwards', () => {
  it('a process that has disposed of everything ends by itself', async () => {
    const { port } = await startProcess()
    const script = `
      import { ApiClient, Endpoint, GuruConnection } from 'guru-comms'
      const client = new ApiClient({ baseURL: 'http://127.0.0.1:${port}' })
      const connection = new GuruConnection({ url: 'ws://127.0.0.1:${port}' })
      const endpoint = new Endpoint({ WS_URL: 'ws://127.0.0.1:${port}', API_BASE_URL: 'http://127.0.0.1:${port}' })
      await client.get('/')
      await new Promise((resolve) => connection.once('open', resolve))
      connection.send({ hello: 1 })
      endpoint.ask('What?').text().catch(() => {})
      connection.dispose(); client.dispose(); endpoint.dispose()
      process.on('exit', () => console.log(process.getActiveResourcesInfo().filter((it) => !/TTY|Pipe/.test(it)).join()))`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../..'),
    })
    expect(stdout.trim()).toBe('')
  })

  it('with unref a process ends although the line is open and timers run', async () => {
    const { port } = await startProcess()
    const script = `
      import { GuruConnection } from 'guru-comms'
      const connection = new GuruConnection({ url: 'ws://127.0.0.1:${port}', unref: true })
      connection.on('open', () => console.log('open'))
      setTimeout(() => {}, 300)`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      cwd: join(import.meta.dirname, '../..'),
    })
    expect(stdout.trim()).toBe('open')
  })
})

// What strangers can make a backend hold, and who pays for it.

import { request as ask } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { RawClient, rawSocket, upgradeHead } from '../../tests/support/backendClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { type Backend, createBackend } from './createBackend.ts'
import type { BackendOptions } from './options.ts'

let backend: Backend
const lines: string[] = []
const start = async (options: BackendOptions = {}) => {
  const log = (...parts: unknown[]) => lines.push(parts.map(String).join(' '))
  backend = await createBackend({
    port: 0,
    logger: { debug: () => {}, info: log, warn: log, error: log },
    ...options,
  })
}
const sockets: { destroy(): unknown }[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  lines.length = 0
  await backend.close({ graceMs: 0 })
})

const MIB = 2 ** 20
/** The head of a masked frame. */
function frameHead(opcode: number, length: number, fin = true): Buffer {
  const head = Buffer.alloc(14)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = 0xff
  head.writeBigUInt64BE(BigInt(length), 2)
  return head
}

/** A WebSocket that has sent a part of a message. */
async function half(bytes: number) {
  const { socket, text } = await rawSocket(backend.port, upgradeHead())
  sockets.push(socket)
  let gone = false
  socket.on('close', () => {
    gone = true
  })
  await until(() => text().includes('101'), 'it is open')
  socket.write(frameHead(1, 8 * MIB))
  socket.write(Buffer.alloc(bytes))
  return { socket, gone: () => gone }
}

describe('what one backend holds for all', () => {
  it('messages that do not come whole are paid for by who sends most of them', async () => {
    await start({ maxTotalBufferedBytes: 4 * MIB })
    // Another address: it does not pay for what is held for this one.
    const stranger = new RawClient(backend.port, { localAddress: '127.0.0.2' })
    sockets.push({ destroy: () => stranger.socket.terminate() })
    await stranger.opened()
    const greedy = [await half(MIB), await half(MIB), await half(MIB)]
    stranger.ask('q')
    expect(await stranger.answer('q')).toContain('You said')
    expect(greedy.some(({ gone }) => gone())).toBe(false)
    greedy.push(await half(2 * MIB))
    await until(() => greedy.some(({ gone }) => gone()), 'one is closed')
    stranger.ask('again')
    await stranger.answer('again')
    expect(stranger.closed).toBeUndefined()
    expect(lines.join('\n')).toContain('"maxTotalBufferedBytes"')
  })

  it('a message that is whole is held no more', async () => {
    await start({ maxTotalBufferedBytes: 2 * MIB })
    const user = new RawClient(backend.port)
    sockets.push({ destroy: () => user.socket.terminate() })
    await user.opened()
    for (let n = 0; n < 20; n += 1) {
      user.socket.send(Buffer.alloc(MIB))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => backend.getStats().audioBytes === 20 * MIB, 'all has come')
    expect(user.closed).toBeUndefined()
  })

  it('questions that wait are paid for by who asked them', async () => {
    await start({
      maxTotalBufferedBytes: 3 * MIB,
      responder: {
        async *respond({ id }, { signal }) {
          yield 'x'
          if (id === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve))
        },
      },
    })
    const greedy = new RawClient(backend.port)
    const stranger = new RawClient(backend.port, { localAddress: '127.0.0.2' })
    for (const { socket } of [greedy, stranger]) sockets.push({ destroy: () => socket.terminate() })
    await Promise.all([greedy.opened(), stranger.opened()])
    greedy.ask('hang')
    for (let n = 0; n < 5; n += 1)
      greedy.say({ type: 'message', id: `${n}`, content: 'x', image: 'x'.repeat(MIB) })
    await greedy.closing()
    stranger.ask('q')
    expect(await stranger.answer('q')).toBe('x')
  })

  it('bodies are paid for by who sends most of them, and are told why', async () => {
    await start({ maxTotalBufferedBytes: 2 * MIB, maxBodyBytes: MIB })
    const post = (length: number) =>
      `POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${length}\r\n\r\n{`
    const slow = await Promise.all([1, 2, 3].map(() => rawSocket(backend.port, post(MIB))))
    for (const { socket } of slow) sockets.push(socket)
    await until(() => slow.some(({ text }) => text().startsWith('HTTP/1.1 503')), 'one is refused')
    const { statusCode } = await ask(`${backend.url}/v1/settings`, { method: 'POST', body: '{"a":1}' })
    expect(statusCode).toBe(200)
  })

  it('what is not read is counted at what its frames cost', async () => {
    await start({ maxQueuedBytes: 100_000, writeTimeout: 60_000, messagesPerSecond: 1e6 })
    const { socket, text } = await rawSocket(backend.port, upgradeHead())
    sockets.push(socket)
    await until(() => text().includes('101'), 'it is open')
    socket.pause()
    let gone = false
    socket.on('close', () => {
      gone = true
    })
    // Each is answered with an error of a few bytes.
    const wrong = Buffer.concat([Buffer.from([0x81, 0x81, 0, 0, 0, 0]), Buffer.from('x')])
    const many = Buffer.concat(Array(2000).fill(wrong))
    const flood = () => {
      if (!gone && socket.writable) socket.write(many, () => setImmediate(flood))
    }
    flood()
    await until(() => backend.getStats().connections === 0, 'it is closed', 60_000)
  })
})

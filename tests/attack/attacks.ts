// What strangers do to a server. Each attack has so many connections and so much time, and leaves when it is over.

import type { Random } from '../../src/core/random.ts'
import { seededRandom } from '../../src/testing/seededRandom.ts'
import { upgradeHead } from '../support/backendClients.ts'
import type { Target, TargetKind } from './Target.ts'
import { BINARY, CONTINUATION, frame, frameHead, PING, PONG, TEXT, times, Wire } from './wire.ts'

export interface Scale {
  readonly connections: number
  readonly ms: number
  readonly brokenFrames: number
  readonly brokenUpgrades: number
  readonly seed: number
}

export interface Attack {
  readonly name: string
  /** Those it makes sense against. @default all */
  readonly targets?: readonly TargetKind[]
  /** Connects and does harm; what it returns is ended when the time is over. */
  readonly run: (target: Target, scale: Scale, over: () => boolean) => Wire[] | Promise<Wire[]>
}

const OWN: readonly TargetKind[] = ['createBackend', 'SessionServer']
const MIB = 2 ** 20
const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const many = (scale: Scale, make: (index: number) => Wire) =>
  Array.from({ length: scale.connections }, (_, index) => make(index))
/** Whether the target takes plain WebSockets. */
const isPlain = ({ kind }: Target) => kind === 'createBackend'
const flooding = (name: string, bytes: (target: Target) => Buffer, session = true): Attack => ({
  name,
  run: (target, scale, over) =>
    many(scale, () => {
      const wire = Wire.webSocket(target.port, session || !isPlain(target))
      wire.flood(bytes(target), over)
      return wire
    }),
})

const question = (content: string, id = 'q') => JSON.stringify({ role: 'user', type: 'message', id, content })

export const attacks: readonly Attack[] = [
  flooding('pings, and nothing is read', () => times(500, frame(PING, 'x'.repeat(125)))),
  flooding('pongs that nobody asked for', () => times(500, frame(PONG, 'x'))),
  flooding('pings of a session, and nothing is read', () => times(200, frame(TEXT, '{"t":"ping","at":1}'))),
  flooding('flushes of all streams, and nothing is read', () =>
    Buffer.concat(
      Array.from({ length: 256 }, (_, stream) => frame(TEXT, JSON.stringify({ t: 'flush', stream }))),
    ),
  ),
  flooding('messages, and nothing is read', () => times(200, frame(TEXT, ':x'))),
  flooding('pings over plain lines, and nothing is read', () => times(500, frame(PING, 'x')), false),
  flooding('a message in pieces of one byte, without end', () =>
    Buffer.concat([frame(TEXT, ':', 0), times(1000, frame(CONTINUATION, 'x', 0))]),
  ),
  flooding('pings between the pieces of a message', () =>
    Buffer.concat([frame(TEXT, ':', 0), times(500, frame(PING, 'x'))]),
  ),
  flooding('empty frames', () => times(1000, frame(TEXT, ''))),
  {
    name: 'volatile messages are asked for, and nothing is read',
    targets: ['SessionServer'],
    run: (target, scale, over) =>
      many(scale, () => {
        const wire = Wire.webSocket(target.port, true)
        wire.flood(times(10, frame(TEXT, ':volatile')), over)
        return wire
      }),
  },
  {
    name: 'large answers are asked for, and nothing is read',
    targets: OWN,
    run: (target, scale) =>
      many(scale, () => {
        if (isPlain(target))
          return Wire.webSocket(
            target.port,
            false,
            ...Array.from({ length: 50 }, (_, n) => frame(TEXT, question('large', `${n}`))),
          )
        return Wire.webSocket(
          target.port,
          true,
          ...Array.from({ length: 1000 }, (_, n) => frame(TEXT, `${n + 1}:large`)),
        )
      }),
  },
  {
    name: 'messages that never come whole',
    run: (target, scale) =>
      many(scale, () =>
        Wire.webSocket(target.port, !isPlain(target), frameHead(BINARY, MIB), Buffer.alloc(MIB - 1)),
      ),
  },
  {
    name: 'messages a byte at a time',
    run: (target, scale, over) =>
      many(scale, () => {
        const wire = Wire.webSocket(target.port, !isPlain(target), frameHead(BINARY, MIB))
        wire.flood(Buffer.from('x'), over)
        return wire
      }),
  },
  {
    name: 'requests a byte at a time',
    run: (target, scale, over) =>
      many(scale, () => {
        const wire = new Wire(target.port, 'GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ')
        const more = () => {
          if (over() || wire.gone) return
          wire.write('x')
          setTimeout(more, 20)
        }
        more()
        return wire
      }),
  },
  {
    name: 'bodies that never come whole',
    targets: ['createBackend'],
    run: (target, scale) =>
      many(
        scale,
        () =>
          new Wire(
            target.port,
            `POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${MIB}\r\n\r\n{"a":"${'x'.repeat(MIB / 2)}`,
          ),
      ),
  },
  {
    name: 'half-open sockets: nothing is said, or nothing after the upgrade',
    run: (target, scale) =>
      many(scale, (index) =>
        index % 2
          ? new Wire(target.port)
          : new Wire(target.port, upgradeHead('/ws', 'Sec-WebSocket-Protocol: guru.v1\r\n')),
      ),
  },
  {
    name: 'sessions opened and left, one after the other',
    run: (target, scale, over) =>
      many({ ...scale, connections: Math.min(50, scale.connections) }, () => {
        const again = () => {
          if (over()) return
          const next = Wire.webSocket(target.port, true).read()
          next.socket.on('data', () => next.end())
          next.socket.on('close', () => setImmediate(again))
        }
        again()
        return new Wire(target.port)
      }),
  },
  {
    name: 'promises of frames too large, and compressed ones that nobody agreed on',
    run: (target, scale) =>
      many(scale, (index) =>
        Wire.webSocket(
          target.port,
          !isPlain(target),
          index % 2 ? frameHead(BINARY, 2 ** 40) : frame(TEXT, Buffer.alloc(1000), 0xc0),
        ),
      ),
  },
  {
    name: 'JSON nested deeply',
    run: (target, scale, over) => {
      const levels = 100_000
      return many(scale, (index) => {
        if (isPlain(target) && index % 3 === 0) {
          const body = `{"a":${deep(levels)}}`
          return new Wire(
            target.port,
            `POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          )
        }
        const session = !isPlain(target) || index % 3 === 1
        const wire = Wire.webSocket(target.port, session)
        wire.flood(frame(TEXT, session ? `:${deep(levels)}` : `{"a":${deep(levels)}}`), over)
        return wire
      })
    },
  },
  {
    name: 'broken frames',
    async run(target, scale, over) {
      const random = seededRandom(scale.seed)
      await inTurn(scale.brokenFrames, over, async () => {
        const wire = Wire.webSocket(target.port, random() < 0.5, brokenFrame(random), brokenFrame(random))
        await heardOrGone(wire)
        return wire
      })
      return []
    },
  },
  {
    name: 'broken upgrades',
    async run(target, scale, over) {
      const random = seededRandom(scale.seed + 1)
      await inTurn(scale.brokenUpgrades, over, async () => {
        const wire = new Wire(target.port, brokenUpgrade(random))
        await heardOrGone(wire)
        return wire
      })
      return []
    },
  },
]

/** Fifty at a time: each connects, is answered or dropped, and goes. The count bounds it, not the time. */
async function inTurn(count: number, _over: () => boolean, one: () => Promise<Wire>): Promise<void> {
  let left = count
  const worker = async () => {
    while (left > 0) {
      left -= 1
      const wire = await one()
      wire.end()
    }
  }
  await Promise.all(Array.from({ length: 50 }, worker))
}

/** Until something has come back, or it was closed; half a second at most: some wait for more that never comes. */
function heardOrGone(wire: Wire): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 500)
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    wire.socket.on('close', done)
    wire.read().socket.on('data', () => {
      // What came is the answer to the upgrade: a moment for that to the frame.
      setTimeout(done, 20)
    })
  })
}

function bytesOf(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: Math.floor(random() * most) }, () => Math.floor(random() * 256)))
}

function brokenFrame(random: Random): Buffer {
  const pick = Math.floor(random() * 8)
  const payload = bytesOf(random, 300)
  switch (pick) {
    case 0:
      return bytesOf(random, 200)
    case 1: // any opcode, any bits
      return frame(Math.floor(random() * 16), payload, Math.floor(random() * 16) << 4)
    case 2: // not masked
      return Buffer.concat([
        Buffer.from([0x81, payload.length % 126]),
        payload.subarray(0, payload.length % 126),
      ])
    case 3: // a control frame that is too long, or in pieces
      return random() < 0.5 ? frame(PING, Buffer.alloc(200)) : frame(PING, 'x', 0)
    case 4: // a continuation of nothing
      return frame(CONTINUATION, payload)
    case 5: // text that is no UTF-8
      return frame(TEXT, Buffer.concat([payload, Buffer.from([0xff, 0xfe])]))
    case 6: // a close frame of any form
      return frame(8, bytesOf(random, 10))
    default: {
      // a good control message with some characters changed
      const text = Buffer.from('{"t":"resume","sid":"x","key":"y","epoch":1,"rx":0}')
      for (let n = 0; n < 3; n += 1) text[Math.floor(random() * text.length)] = 32 + Math.floor(random() * 95)
      return frame(TEXT, text)
    }
  }
}

function brokenUpgrade(random: Random): string {
  const head = upgradeHead('/ws', random() < 0.5 ? 'Sec-WebSocket-Protocol: guru.v1\r\n' : '')
  const lines = head.split('\r\n')
  const at = Math.floor(random() * (lines.length - 2))
  const line = lines[at] as string
  switch (Math.floor(random() * 7)) {
    case 0:
      lines.splice(at, 1)
      break
    case 1:
      lines[at] = line.slice(0, Math.floor(random() * line.length))
      break
    case 2:
      lines.splice(at, 0, line)
      break
    case 3:
      lines[at] = `${line}${String.fromCharCode(Math.floor(random() * 256))}`
      break
    case 4:
      lines.splice(1, 0, 'Sec-WebSocket-Version: 99', `X: ${'x'.repeat(Math.floor(random() * 20_000))}`)
      break
    case 5:
      lines.splice(1, 0, 'Content-Length: 5', 'Transfer-Encoding: chunked')
      break
    default:
      return head.slice(0, Math.floor(random() * head.length))
  }
  return lines.join('\r\n')
}

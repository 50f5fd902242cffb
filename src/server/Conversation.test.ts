import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { Conversation, type ReplyDelta } from './Conversation.ts'
import { type Responder, type ResponderContext, ResponderError } from './responder.ts'

const never = () => new Promise<never>(() => {})
const turn = () => new Promise((resolve) => setImmediate(resolve))

function talk(
  respond: Responder['respond'],
  overrides: Partial<{ maxQuestions: number; maxQuestionBytes: number; answerTimeout: number }> = {},
) {
  const clock = new VirtualClock()
  const said: ReplyDelta[] = []
  const logged: string[] = []
  const line = { open: true, room: Promise.resolve() }
  const log = (text: string) => logged.push(text)
  const conversation = new Conversation({
    respond,
    maxQuestions: 3,
    maxQuestionBytes: 1000,
    answerTimeout: 10_000,
    clock,
    ...overrides,
    logger: { debug: log, info: log, warn: log, error: log },
    async say(delta) {
      if (!line.open) throw new Error('gone')
      said.push(delta)
      await line.room
    },
  })
  const answer = (id: string) =>
    said
      .filter(({ request_id }) => request_id === id)
      .map(({ content }) => content)
      .join('')
  const ended = () => said.filter(({ end }) => end).map(({ request_id }) => request_id)
  /** How each answer ended: `whole`, or the code of its error. */
  const fates = () =>
    Object.fromEntries(
      said.filter(({ end }) => end).map(({ request_id, error }) => [request_id, error?.code ?? 'whole']),
    )
  return { conversation, said, logged, line, answer, ended, fates, clock }
}

async function* words(...list: string[]) {
  yield* list
}

describe('a conversation', () => {
  it('answers with deltas: a start, the pieces, an end', async () => {
    const { conversation, said } = talk(() => words('Good ', '', 'day'))
    conversation.ask({ id: 'q', content: 'Hello' })
    await conversation.finish()
    const delta = { role: 'assistant', type: 'message', request_id: 'q' }
    expect(said).toEqual([
      { ...delta, content: '', start: true, state: 'thinking' },
      { ...delta, content: 'Good ', state: 'speaking' },
      { ...delta, content: 'day' },
      { ...delta, content: '', end: true, state: 'idle' },
    ])
  })

  it('takes questions in turn, one at a time', async () => {
    let running = 0
    const { conversation, ended } = talk(async function* () {
      running += 1
      expect(running).toBe(1)
      await turn()
      yield 'x'
      running -= 1
    })
    for (const id of ['a', 'b', 'c']) conversation.ask({ id, content: id })
    expect(conversation.pending).toBe(3)
    await conversation.finish()
    expect(ended()).toEqual(['a', 'b', 'c'])
    expect(conversation.pending).toBe(0)
  })

  it('reminds the assistant of what was said, without what came to nothing', async () => {
    const histories: ResponderContext['history'][] = []
    const { conversation } = talk(async function* ({ content }, { history }) {
      histories.push(history)
      if (content === 'fail') throw new Error('no')
      yield `re: ${content}`
    })
    for (const content of ['one', 'fail', 'two']) conversation.ask({ id: content, content })
    await conversation.finish()
    const one = [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 're: one' },
    ]
    expect(histories).toEqual([[], one, one])
  })

  it('keeps its memory bounded, in whole turns', async () => {
    let last: ResponderContext['history'] = []
    const { conversation } = talk(
      async function* (_question, { history }) {
        last = history
        yield 'y'.repeat(30_000)
      },
      { maxQuestions: 100, maxQuestionBytes: 1e9 },
    )
    for (let n = 0; n < 60; n += 1) conversation.ask({ id: `${n}`, content: 'x'.repeat(n < 30 ? 1 : 20_000) })
    await conversation.finish()
    expect(last.reduce((sum, { content }) => sum + content.length, 0)).toBeLessThanOrEqual(200_000)
    expect(last.length).toBeLessThanOrEqual(40)
    expect(last[0]?.role).toBe('user')
  })

  it('refuses what would be too many questions, or too much of them', () => {
    const { conversation } = talk(never as never, { maxQuestions: 2, maxQuestionBytes: 100 })
    expect(conversation.ask({ id: 'running', content: 'x' })).toBeUndefined()
    expect(conversation.ask({ id: 'first', content: 'x'.repeat(60) })).toBeUndefined()
    expect(conversation.ask({ id: 'large', content: 'x', image: 'x'.repeat(60) })).toMatchObject({
      code: 'QUEUE_FULL',
    })
    expect(conversation.ask({ id: 'small', content: 'x' })).toBeUndefined()
    expect(conversation.ask({ id: 'one more', content: 'x' })).toMatchObject({ code: 'QUEUE_FULL' })
    conversation.stop('first')
    expect(conversation.ask({ id: 'large', content: 'x', image: 'x'.repeat(60) })).toBeUndefined()
  })

  it('a stop ends the answer with what has been said, and the next question has its turn', async () => {
    let signal: AbortSignal | undefined
    const { conversation, answer, ended } = talk(async function* ({ id }, context) {
      signal = context.signal
      yield 'begun'
      if (id === 'a') await never()
    })
    conversation.ask({ id: 'a', content: 'x' })
    conversation.ask({ id: 'b', content: 'x' })
    await turn()
    const first = signal
    expect(conversation.stop('a')).toBe(1)
    await conversation.finish()
    expect(first?.aborted).toBe(true)
    expect(ended()).toEqual(['a', 'b'])
    expect(answer('a')).toBe('begun')
  })

  it('a stop of a question that waits ends it unanswered; of one that is unknown it does nothing', async () => {
    const asked: string[] = []
    const { conversation, ended } = talk(async function* ({ id }) {
      asked.push(id)
      yield ''
    })
    for (const id of ['a', 'b']) conversation.ask({ id, content: 'x' })
    expect(conversation.stop('b')).toBe(1)
    expect(conversation.stop('b')).toBe(0)
    expect(conversation.stop('nobody')).toBe(0)
    await conversation.finish()
    expect(asked).toEqual(['a'])
    expect(ended().sort()).toEqual(['a', 'b'])
  })

  it('a stop without an id ends all of them', async () => {
    const { conversation, ended } = talk(never as never)
    for (const id of ['a', 'b', 'c']) conversation.ask({ id, content: 'x' })
    expect(conversation.stop()).toBe(3)
    await conversation.finish()
    expect(ended().sort()).toEqual(['a', 'b', 'c'])
  })

  it.each<[string, Responder['respond']]>([
    [
      'throws at once',
      () => {
        throw new Error('no')
      },
    ],
    [
      'throws in mid-answer',
      async function* () {
        yield 'half'
        throw new Error('no')
      },
    ],
    [
      'gives something else than text',
      async function* () {
        yield 17
      } as never,
    ],
    ['gives nothing to iterate', (() => undefined) as never],
    ['gives something else than an iterator', (() => ({ [Symbol.asyncIterator]: () => 1 })) as never],
    ['gives steps that are none', (() => ({ [Symbol.asyncIterator]: () => ({ next() {} }) })) as never],
    [
      'gives a step that cannot be read',
      (() => ({
        [Symbol.asyncIterator]: () => ({
          next: () => ({
            get done() {
              throw new Error('no')
            },
          }),
          return() {
            throw new Error('neither')
          },
        }),
      })) as never,
    ],
    [
      'throws what cannot be looked at',
      () => {
        throw new Proxy(
          {},
          {
            get() {
              throw new Error('no')
            },
            getPrototypeOf() {
              throw new Error('no')
            },
          },
        )
      },
    ],
  ])(
    'a responder that %s ends the answer with an error, and the next is answered',
    async (_what, respond) => {
      let calls = 0
      const { conversation, said, logged } = talk((question, context) => {
        calls += 1
        return calls === 1 ? respond(question, context) : words('fine')
      })
      conversation.ask({ id: 'a', content: 'x' })
      conversation.ask({ id: 'b', content: 'x' })
      await conversation.finish()
      expect(said.filter(({ end }) => end)).toMatchObject([
        { request_id: 'a', error: { code: 'FAILED', message: 'the assistant failed' } },
        { request_id: 'b' },
      ])
      expect(said.at(-1)).not.toHaveProperty('error')
      expect(logged).toContain('the responder failed:')
    },
  )

  it('asks for the next piece when the last one has been taken', async () => {
    let made = 0
    const { conversation, line, ended } = talk(async function* () {
      for (; made < 10; made += 1) yield 'x'
    })
    const room = Promise.withResolvers<void>()
    conversation.ask({ id: 'a', content: 'x' })
    line.room = room.promise
    await turn()
    expect(made).toBeLessThan(2)
    line.room = Promise.resolve()
    room.resolve()
    await conversation.finish()
    expect(made).toBe(10)
    expect(ended()).toEqual(['a'])
  })

  it('tells the assistant to stop when nobody listens any more', async () => {
    const cleaned = Promise.withResolvers<void>()
    const { conversation, line } = talk(async function* (_question, { signal }) {
      try {
        for (;;) {
          await turn()
          yield signal.aborted ? 'too much' : 'x'
        }
      } finally {
        cleaned.resolve()
      }
    })
    conversation.ask({ id: 'a', content: 'x' })
    conversation.ask({ id: 'b', content: 'x' })
    await turn()
    line.open = false
    await cleaned.promise
    await conversation.finish()
    expect(conversation.pending).toBe(0)
  })

  it('a responder may say why there is no answer; what else it throws is for the log', async () => {
    const { conversation, said } = talk(async function* ({ id }) {
      yield 'half'
      if (id === 'a') throw new ResponderError('UPSTREAM', 'the model is overloaded')
      throw Object.assign(new Error('password=hunter2'), { code: 'EPASSWORD' })
    })
    for (const id of ['a', 'b']) conversation.ask({ id, content: 'x' })
    await conversation.finish()
    expect(said.filter(({ end }) => end).map(({ error }) => error)).toEqual([
      { code: 'UPSTREAM', message: 'the model is overloaded' },
      { code: 'FAILED', message: 'the assistant failed' },
    ])
  })

  it('a responder that falls silent is given up; the time its reader takes does not count', async () => {
    const { conversation, fates, line, clock, logged } = talk(async function* ({ id }) {
      yield 'half'
      if (id === 'a') await never()
    })
    conversation.ask({ id: 'a', content: 'x' })
    conversation.ask({ id: 'b', content: 'x' })
    const room = Promise.withResolvers<void>()
    await turn()
    await clock.advance(9999)
    expect(fates()).toEqual({})
    line.room = room.promise
    await clock.advance(1)
    line.room = Promise.resolve()
    room.resolve()
    await conversation.finish()
    expect(fates()).toEqual({ a: 'TIMEOUT', b: 'whole' })
    expect(logged.join()).toContain('answerTimeout')
  })

  it.each<[string, (talk: Conversation) => unknown, Record<string, string>]>([
    ['the asker stops it', (talk) => talk.stop('a'), { a: 'whole', b: 'whole' }],
    ['the asker stops all', (talk) => talk.stop(), { a: 'whole', b: 'whole' }],
    ['the backend shuts down', (talk) => talk.end('shutdown'), { a: 'GOING_AWAY', b: 'GOING_AWAY' }],
    ['nobody is to be told', (talk) => talk.end('silently'), {}],
    [
      'the asker stops it while the backend shuts down',
      (talk) => {
        talk.end('shutdown')
        talk.stop()
      },
      { a: 'GOING_AWAY', b: 'GOING_AWAY' },
    ],
  ])('an answer cut off because %s says so, begun or not', async (_why, cut, expected) => {
    for (const notices of [true, false]) {
      const settled: string[] = []
      const { conversation, fates } = talk(async function* ({ id }, { signal }) {
        yield 'half'
        // One returns when it is told to stop, as if it were done; the other never hears of it.
        if (id === 'a' && notices) await new Promise((resolve) => signal.addEventListener('abort', resolve))
        else if (id === 'a') await never()
      })
      for (const id of ['a', 'b']) conversation.ask({ id, content: 'x' }, () => settled.push(id))
      await turn()
      cut(conversation)
      await conversation.finish()
      expect(fates()).toEqual(expected)
      // What is not told is not settled: who goes on with it is handed it.
      expect(settled.sort()).toEqual(Object.keys(expected))
    }
  })

  it('takes nothing after its end', async () => {
    const { conversation } = talk(() => words('x'))
    conversation.end('silently')
    expect(conversation.ask({ id: 'a', content: 'x' })).toMatchObject({ code: 'GOING_AWAY' })
    await conversation.finish()
  })
})

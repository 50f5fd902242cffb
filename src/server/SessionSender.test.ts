import { describe, expect, it } from 'vitest'
import type { FateListener, PostedMessage, PostResult, SharedSessions } from '../session/sharedSessions.ts'
import type { SessionStore } from '../session/store.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { SessionSender } from './SessionSender.ts'

/** A shared store of which only posting is asked. */
function makeStore() {
  const posts: { message: PostedMessage; answer: PromiseWithResolvers<PostResult> }[] = []
  let listener!: FateListener
  const shared: Partial<SharedSessions> = {
    hearFates(heard) {
      listener = heard
      return () => {}
    },
    post(_sid, message) {
      const answer = Promise.withResolvers<PostResult>()
      posts.push({ message, answer })
      return answer.promise
    },
  }
  const store: Partial<SessionStore> = { shared: shared as SharedSessions, find: () => undefined }
  return { store: store as SessionStore, posts, hear: () => listener }
}

describe('SessionSender', () => {
  const make = () => {
    const { store, posts, hear } = makeStore()
    return { posts, hear, sender: new SessionSender({ store, clock: new VirtualClock() }) }
  }

  it('a name that no session can have is not asked for', async () => {
    const { posts, sender } = make()
    for (const sid of ['', '}', 'a b', '../x', 'a\u0000', 'x'.repeat(129)]) {
      const receipt = sender.send(sid, 'hello')
      await expect(receipt.stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
      await expect(receipt.delivered).rejects.toMatchObject({ code: 'SESSION_LOST' })
      expect(receipt.cancel()).toBe(false)
      await expect(sender.send(sid, 'hello', { volatile: true }).stored).rejects.toMatchObject({
        code: 'DROPPED',
      })
    }
    expect(posts).toEqual([])
  })

  it('word that was missed makes what lies in the store doubtful, and what is on its way is stored all the same', async () => {
    const { posts, hear, sender } = make()
    const there = sender.send('sid', 'there')
    posts[0]?.answer.resolve('posted')
    await there.stored
    const onItsWay = sender.send('sid', 'on its way')
    hear().missed()
    await expect(there.delivered).rejects.toMatchObject({ code: 'UNKNOWN' })
    posts[1]?.answer.resolve('posted')
    await onItsWay.stored
    await expect(onItsWay.delivered).rejects.toMatchObject({ code: 'UNKNOWN' })
  })

  it('a fate that is told before the store has answered counts', async () => {
    const { posts, hear, sender } = make()
    const receipt = sender.send('sid', 'quick')
    hear().fate(posts[0]?.message.token ?? '', 'delivered')
    await receipt.delivered
    await receipt.stored
    posts[0]?.answer.resolve('posted')
    hear().missed()
    await receipt.delivered
  })

  it('closed while a message is on its way: whether it is stored is still told', async () => {
    const { posts, sender } = make()
    const [one, two] = [sender.send('sid', 'one'), sender.send('sid', 'two')]
    sender.close()
    posts[0]?.answer.resolve('posted')
    posts[1]?.answer.resolve('noSession')
    await one.stored
    await expect(one.delivered).rejects.toMatchObject({ code: 'UNKNOWN' })
    await expect(two.stored).rejects.toMatchObject({ code: 'SESSION_LOST' })
  })
})

import { expect, it } from 'vitest'
import { IdleWaiter } from './IdleWaiter.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function waiting(waiter: IdleWaiter) {
  const one = { isAtIdleWaiter: false, looks: 0, resolved: false, stop: () => {} }
  const { promise, stop } = waiter.when(() => {
    one.looks += 1
    return one.isAtIdleWaiter
  })
  one.stop = stop
  void promise.then(() => {
    one.resolved = true
  })
  return one
}

it('resolves at the first look that finds waiter, and looks no more', async () => {
  const waiter = new IdleWaiter()
  const one = waiting(waiter)
  waiter.look()
  await turn()
  expect(one).toMatchObject({ looks: 2, resolved: false })
  one.isAtIdleWaiter = true
  waiter.look()
  await turn()
  expect(one).toMatchObject({ looks: 3, resolved: true })
  waiter.look()
  await turn()
  expect(one.looks).toBe(3)
})

it('what is at waiter already is seen at once', async () => {
  await new IdleWaiter().when(() => true).promise
})

it('looks once a turn, however much has come to waiter', async () => {
  const waiter = new IdleWaiter()
  const one = waiting(waiter)
  for (let n = 0; n < 100; n += 1) waiter.look()
  await turn()
  expect(one.looks).toBe(2)
})

it('who has stopped waiting is left alone, the others are not', async () => {
  const waiter = new IdleWaiter()
  const [one, other] = [waiting(waiter), waiting(waiter)]
  one.stop()
  one.isAtIdleWaiter = true
  other.isAtIdleWaiter = true
  waiter.look()
  await turn()
  expect([one.resolved, other.resolved]).toEqual([false, true])
})

// Where the platform keeps no asynchronous contexts (browsers), there is none to go back to: see callerContext.node.ts.

export class CallerContext {
  runInAsyncScope<This, Args extends unknown[], Result>(
    fn: (this: This, ...args: Args) => Result,
    thisArg: This,
    ...args: Args
  ): Result {
    return fn.apply(thisArg, args)
  }
}

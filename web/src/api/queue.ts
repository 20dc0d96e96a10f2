// One request at a time, the others in order. Who aborts a request is told at
// once. One that was waiting leaves; the work of one that runs ends itself, and
// the next begins only then.

export class Queue {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #running = false;

  get waiting(): number {
    return this.#waiting;
  }

  get running(): boolean {
    return this.#running;
  }

  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise<T>((resolve, reject) => {
      this.#waiting += 1;
      let state: 'waiting' | 'running' | 'left' = 'waiting';
      const leave = () => {
        if (state === 'waiting') {
          state = 'left';
          this.#waiting -= 1;
        }
        reject(signal!.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#tail = this.#tail.then(async () => {
        if (state === 'left') return;
        state = 'running';
        this.#waiting -= 1;
        this.#running = true;
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        } finally {
          signal?.removeEventListener('abort', leave);
          this.#running = false;
        }
      });
    });
  }
}

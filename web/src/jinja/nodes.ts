// What a template is made of once it is parsed. Types only.

export type Expression =
  | { readonly type: 'const'; readonly value: null | boolean | bigint | number | string }
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'tuple' | 'list'; readonly items: readonly Expression[] }
  | { readonly type: 'dict'; readonly pairs: readonly (readonly [Expression, Expression])[] }
  | { readonly type: 'attribute'; readonly of: Expression; readonly name: string }
  | { readonly type: 'item'; readonly of: Expression; readonly key: Expression }
  | { readonly type: 'slice'; readonly parts: readonly (Expression | null)[] }
  | { readonly type: 'call'; readonly callee: Expression; readonly args: Args }
  | { readonly type: 'filter'; readonly name: string; readonly of: Expression | null; readonly args: Args }
  | { readonly type: 'test'; readonly name: string; readonly of: Expression; readonly args: Args }
  | { readonly type: 'not' | 'neg' | 'pos'; readonly of: Expression }
  | { readonly type: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | {
      readonly type: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly type: 'concat'; readonly items: readonly Expression[] }
  | {
      readonly type: 'compare';
      readonly of: Expression;
      readonly steps: readonly (readonly [string, Expression])[];
    }
  | {
      readonly type: 'if';
      readonly test: Expression;
      readonly yes: Expression;
      readonly no: Expression | null;
    };

export interface Args {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [string, Expression])[];
  readonly rest: Expression | null;
  readonly restNamed: Expression | null;
}

export type Target =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'member'; readonly of: string; readonly name: string }
  | { readonly type: 'tuple'; readonly items: readonly Target[] };

export interface Parameter {
  readonly name: string;
  readonly preset: Expression | null;
}

export interface MacroNode {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: readonly Statement[];
}

export type Statement =
  | { readonly type: 'data'; readonly text: string }
  | { readonly type: 'output'; readonly value: Expression }
  | {
      readonly type: 'for';
      readonly target: Target;
      readonly over: Expression;
      readonly condition: Expression | null;
      readonly recursive: boolean;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly type: 'if';
      readonly branches: readonly (readonly [Expression, readonly Statement[]])[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly type: 'set'; readonly target: Target; readonly value: Expression }
  | {
      readonly type: 'capture';
      readonly target: Target;
      readonly filter: Expression | null;
      readonly body: readonly Statement[];
    }
  | { readonly type: 'macro'; readonly macro: MacroNode }
  | { readonly type: 'call'; readonly caller: MacroNode; readonly call: Expression }
  | { readonly type: 'filter'; readonly filter: Expression; readonly body: readonly Statement[] }
  | {
      readonly type: 'with';
      readonly names: readonly (readonly [Target, Expression])[];
      readonly body: readonly Statement[];
    }
  | { readonly type: 'scope'; readonly body: readonly Statement[] }
  /** What needs other templates: a model has none. */
  | { readonly type: 'refuse'; readonly reason: string }
  | { readonly type: 'break' | 'continue' };

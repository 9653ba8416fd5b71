(* The calculus of microgrannd in Coq: the chain rule, the backward pass, and a lemma for each row of the table.

   `program.to_coq` copies out of this file what a program needs. A lemma `row_NAME` says what the local gradients of the
   row NAME are; there, the last line of its statement is printed anew from the row, so that a row that is wrong has a
   lemma that is refused. Conditions stand before it, one a line. *)

From Coq Require Import Reals Ranalysis5 Lra Lia List ZArith.
From Coquelicot Require Import Coquelicot.
Import ListNotations.
Open Scope R_scope.

Definition leaves := positive -> R.
Definition put (leaf : leaves) (i : positive) (x : R) : leaves := fun j => if Pos.eqb j i then x else leaf j.

(* An edge: the number of the operand, the local gradient, the operand's own derivative. *)
Definition edge := (positive * R * R)%type.
Fixpoint tangent (edges : list edge) : R :=
  match edges with [] => 0 | (_, l, v) :: rest => l * v + tangent rest end.

Inductive trie := Empty | Node (left : trie) (here : option R) (right : trie).
Definition plus (h : option R) (x : R) := match h with None => x | Some h => h + x end.
Fixpoint add (p : positive) (x : R) (m : trie) {struct p} : trie :=
  match p, m with
  | xH, Empty => Node Empty (Some x) Empty
  | xH, Node l h r => Node l (Some (plus h x)) r
  | xO q, Empty => Node (add q x Empty) None Empty
  | xO q, Node l h r => Node (add q x l) h r
  | xI q, Empty => Node Empty None (add q x Empty)
  | xI q, Node l h r => Node l h (add q x r)
  end.
Fixpoint gather (flows : list (positive * R)) (m : trie) : trie :=
  match flows with [] => m | (p, x) :: rest => gather rest (add p x m) end.
Fixpoint flow (a : R) (edges : list edge) : list (positive * R) :=
  match edges with [] => [] | (p, l, v) :: rest => (p, a * l * v) :: flow a rest end.
Fixpoint spread (rows : list (R * list edge)) (m : trie) : trie :=
  match rows with [] => m | (a, edges) :: rest => spread rest (gather (flow a edges) m) end.

Fixpoint total (m : trie) : R :=
  match m with Empty => 0 | Node l h r => total l + plus h 0 + total r end.
Fixpoint added (flows : list (positive * R)) : R :=
  match flows with [] => 0 | (_, x) :: rest => x + added rest end.

Lemma total_add p x m : total (add p x m) = total m + x.
Proof.
  revert m; induction p as [p IH | p IH |]; intros [|l [h|] r]; cbn; rewrite ?IH; cbn; try ring.
Qed.
Lemma total_gather flows m : total (gather flows m) = total m + added flows.
Proof.
  revert m; induction flows as [|[p x] rest IH]; intros m; cbn; [ring|]. rewrite IH, total_add; ring.
Qed.
Lemma sum_flow a edges : added (flow a edges) = a * tangent edges.
Proof. induction edges as [|[[p l] v] rest IH]; cbn; [ring|]. rewrite IH; ring. Qed.

Inductive added_up : list (R * list edge) -> list (positive * R) -> Prop :=
  | nothing : added_up [] []
  | node a edges k x rows nodes :
      x = a * tangent edges -> added_up rows nodes -> added_up ((a, edges) :: rows) ((k, x) :: nodes).

Lemma total_spread rows nodes m : added_up rows nodes -> total (spread rows m) = total m + added nodes.
Proof.
  intros H; revert m; induction H as [|a edges k x rows nodes A _ IH]; intros m; cbn; [ring|].
  rewrite IH, total_gather, sum_flow, A; ring.
Qed.

Theorem backpropagation edges rows nodes outer :
  added_up rows nodes ->
  spread ((1, edges) :: rows) Empty = gather outer (gather nodes Empty) ->
  tangent edges = added outer.
Proof.
  intros A E. apply (f_equal total) in E. cbn in E.
  rewrite (total_spread _ _ _ A), !total_gather, sum_flow in E. cbn in E. lra.
Qed.

Inductive operand (t : R) : (R -> R) -> option (positive * R) -> Prop :=
  | fixed c : operand t (fun _ => c) None
  | still u : locally t (fun s => u s = u t) -> operand t u None
  | moved p u v : is_derive u t v -> operand t u (Some (p, v)).
Definition rate (m : option (positive * R)) := match m with Some (_, v) => v | None => 0 end.

Lemma still_derive u t : locally t (fun s => u s = u t) -> is_derive u t 0.
Proof.
  intros H. apply (is_derive_ext_loc (fun _ => u t)); [|apply @is_derive_const].
  revert H; apply filter_imp; intros s H; now rewrite H.
Qed.
Lemma operand_derive t u m : operand t u m -> is_derive u t (rate m).
Proof. intros [c | f H | p f v H]; cbn; [apply @is_derive_const | now apply still_derive | exact H]. Qed.

Fixpoint edges (slopes : list R) (marks : list (option (positive * R))) : list edge :=
  match slopes, marks with
  | l :: slopes, Some (p, v) :: marks => (p, l, v) :: edges slopes marks
  | _ :: slopes, None :: marks => edges slopes marks
  | _, _ => []
  end.
Fixpoint dotted (slopes : list R) (marks : list (option (positive * R))) : R :=
  match slopes, marks with l :: slopes, m :: marks => l * rate m + dotted slopes marks | _, _ => 0 end.
Lemma tangent_edges ls ms : tangent (edges ls ms) = dotted ls ms.
Proof.
  revert ms; induction ls as [|l ls IH]; intros [|[[p v]|] ms]; cbn; trivial; rewrite IH; ring.
Qed.

Definition slopes_2 (f : R -> R -> R) (x y a b : R) := forall (u v : R -> R) (t u' v' : R),
  u t = x -> v t = y -> is_derive u t u' -> is_derive v t v' ->
  is_derive (fun s => f (u s) (v s)) t (a * u' + b * v').
Definition slopes_3 (f : R -> R -> R -> R) (x y z a b c : R) := forall (u v w : R -> R) (t u' v' w' : R),
  u t = x -> v t = y -> w t = z -> is_derive u t u' -> is_derive v t v' -> is_derive w t w' ->
  is_derive (fun s => f (u s) (v s) (w s)) t (a * u' + b * v' + c * w').

Definition slopes_after (f : R -> R -> R -> R) (x y z a b c : R) := forall (u v w : R -> R) (t v' w' : R),
  u t = x -> v t = y -> w t = z -> locally t (fun s => u s = u t) -> is_derive v t v' -> is_derive w t w' ->
  is_derive (fun s => f (u s) (v s) (w s)) t (b * v' + c * w').
Definition flat_1 (f : R -> R) (x : R) := forall (u : R -> R) (t u' : R),
  u t = x -> is_derive u t u' -> locally t (fun s => f (u s) = f (u t)).
Definition flat_2 (f : R -> R -> R) (x y : R) := forall (u v : R -> R) (t u' v' : R),
  u t = x -> v t = y -> is_derive u t u' -> is_derive v t v' -> locally t (fun s => f (u s) (v s) = f (u t) (v t)).
Lemma to (f : R -> R) (t d d' : R) : is_derive f t d -> d = d' -> is_derive f t d'.
Proof. now intros H <-. Qed.

Lemma chain_1 f u t l m :
  operand t u m -> is_derive f (u t) l -> is_derive (fun s => f (u s)) t (tangent (edges [l] [m])).
Proof.
  intros U F. apply (to _ _ (rate m * l)); [|rewrite tangent_edges; cbn; ring].
  apply (is_derive_comp f u); [exact F | now apply operand_derive].
Qed.
Lemma chain_2 f u v t a b m n :
  operand t u m -> operand t v n -> slopes_2 f (u t) (v t) a b ->
  is_derive (fun s => f (u s) (v s)) t (tangent (edges [a; b] [m; n])).
Proof.
  intros U V F. apply (to _ _ (a * rate m + b * rate n)); [|rewrite tangent_edges; cbn; ring].
  apply F; trivial; now apply operand_derive.
Qed.
Lemma chain_3 f u v w t a b c m n o :
  operand t u m -> operand t v n -> operand t w o -> slopes_3 f (u t) (v t) (w t) a b c ->
  is_derive (fun s => f (u s) (v s) (w s)) t (tangent (edges [a; b; c] [m; n; o])).
Proof.
  intros U V W F. apply (to _ _ (a * rate m + b * rate n + c * rate o)); [|rewrite tangent_edges; cbn; ring].
  apply F; trivial; now apply operand_derive.
Qed.

Inductive operands (t : R) : (R -> list R) -> list (option (positive * R)) -> Prop :=
  | no_more : operands t (fun _ => []) []
  | another u m us ms : operand t u m -> operands t us ms -> operands t (fun s => u s :: us s) (m :: ms).

Definition slopes_list (f : list R -> R) (xs ls : list R) := forall (us : R -> list R) (t : R) ms,
  us t = xs -> operands t us ms -> is_derive (fun s => f (us s)) t (dotted ls ms).
Lemma chain_list f us t ls ms :
  operands t us ms -> slopes_list f (us t) ls -> is_derive (fun s => f (us s)) t (tangent (edges ls ms)).
Proof. intros U F. rewrite tangent_edges. now apply F. Qed.
Lemma chain_after f u v w t a b c n o :
  locally t (fun s => u s = u t) -> operand t v n -> operand t w o -> slopes_after f (u t) (v t) (w t) a b c ->
  is_derive (fun s => f (u s) (v s) (w s)) t (tangent (edges [a; b; c] [None; n; o])).
Proof.
  intros U V W F. rewrite tangent_edges. apply (to _ _ (b * rate n + c * rate o)); [|cbn; ring].
  apply F; trivial; now apply operand_derive.
Qed.
Lemma flat_chain_1 f u t m : operand t u m -> flat_1 f (u t) -> locally t (fun s => f (u s) = f (u t)).
Proof. intros U F. apply (F u t (rate m)); trivial; now apply operand_derive. Qed.
Lemma flat_chain_2 f u v t m n :
  operand t u m -> operand t v n -> flat_2 f (u t) (v t) -> locally t (fun s => f (u s) (v s) = f (u t) (v t)).
Proof. intros U V F. apply (F u v t (rate m) (rate n)); trivial; now apply operand_derive. Qed.

(* curves *)
Lemma stays_less (u v : R -> R) (t u' v' : R) :
  is_derive u t u' -> is_derive v t v' -> u t < v t -> locally t (fun s => u s < v s).
Proof.
  intros U V H.
  assert (D : is_derive (fun s => v s - u s) t (v' - u')) by (now apply @is_derive_minus).
  assert (C : continuous (fun s => v s - u s) t) by (apply @ex_derive_continuous; eexists; exact D).
  assert (L : locally (v t - u t) (fun y => 0 < y)) by (apply (open_gt 0); lra).
  assert (N : locally t (fun s => 0 < v s - u s)) by exact (C _ L).
  revert N; apply filter_imp; intros s S; lra.
Qed.
Lemma stays_not (u v : R -> R) (t u' v' : R) :
  is_derive u t u' -> is_derive v t v' -> u t <> v t -> locally t (fun s => u s <> v s).
Proof.
  intros U V H. destruct (Rtotal_order (u t) (v t)) as [L | [E | G]]; [|contradiction|].
  - generalize (stays_less _ _ _ _ _ U V L); apply filter_imp; intros; lra.
  - generalize (stays_less _ _ _ _ _ V U G); apply filter_imp; intros; lra.
Qed.
Ltac speeds := repeat match goal with D : is_derive _ ?t ?d |- context [Derive ?g ?t] =>
  rewrite (is_derive_unique g t d D) end.
Ltac curves := intros u v t u' v' <- <- U V; auto_derive;
  [repeat split; try (now eexists; eassumption); trivial
  | speeds].

(* Functions *)
Definition less (x y : R) : R := if Rlt_dec x y then 1 else 0.
Definition less_equal (x y : R) : R := if Rle_dec x y then 1 else 0.
Definition greater (x y : R) : R := less y x.
Definition greater_equal (x y : R) : R := less_equal y x.
Definition equal (x y : R) : R := if Req_EM_T x y then 1 else 0.
Definition not_equal (x y : R) : R := if Req_EM_T x y then 0 else 1.
Definition choose (c x y : R) : R := if Req_EM_T c 0 then y else x.
Definition share (x y : R) : R := choose (equal x y) (1 / 2) (greater x y).
Definition sign (x : R) : R := greater x 0 - less x 0.
Definition step (x : R) : R := greater x 0.
Definition sigmoid (x : R) : R := 1 / (1 + exp (- x)).
Ltac plain x := lazymatch x with context [if _ then _ else _] => fail | _ => idtac end.
Ltac decide_all := unfold sign, step, share, greater, greater_equal, less, less_equal, equal, not_equal, choose;
  repeat (match goal with
  | |- context [Rlt_dec ?x ?y] => plain x; plain y; destruct (Rlt_dec x y)
  | |- context [Rle_dec ?x ?y] => plain x; plain y; destruct (Rle_dec x y)
  | |- context [Req_EM_T ?x ?y] => plain x; plain y; destruct (Req_EM_T x y)
  end; try (exfalso; lra)); try lra.

Lemma row_add (x y : R) : slopes_2 (fun x y => x + y) x y 1 1.
Proof. curves. ring. Qed.
Lemma row_sub (x y : R) : slopes_2 (fun x y => x - y) x y 1 (-1).
Proof. curves. ring. Qed.
Lemma row_mul (x y : R) : slopes_2 (fun x y => x * y) x y y x.
Proof. curves. ring. Qed.
Lemma row_div (x y : R) : y <> 0 -> slopes_2 (fun x y => x / y) x y (1 / y) (-(x / y) / y).
Proof. intros H. curves. field; exact H. Qed.
Lemma row_neg (x : R) : is_derive (fun x => -x) x (-1).
Proof. auto_derive; [trivial|ring]. Qed.
Lemma row_abs (x : R) : x <> 0 -> is_derive Rabs x (sign x).
Proof.
  intros H. destruct (Rdichotomy _ _ H) as [L | G].
  - apply (is_derive_ext_loc (fun x => - x)).
    + generalize (open_lt 0 x L); apply filter_imp; intros s S. now rewrite Rabs_left.
    + auto_derive; [trivial|]. decide_all.
  - apply (is_derive_ext_loc (fun x => x)).
    + generalize (open_gt 0 x G); apply filter_imp; intros s S. now rewrite Rabs_pos_eq; [|left].
    + auto_derive; [trivial|]. decide_all.
Qed.
Lemma row_exp (x : R) : is_derive exp x (exp x).
Proof. auto_derive; [trivial|ring]. Qed.

Definition exp2 (x : R) : R := Rpower 2 x.
Lemma row_exp2 (x : R) : is_derive exp2 x (ln 2 * exp2 x).
Proof. unfold exp2, Rpower. auto_derive; [trivial|ring]. Qed.
Definition expm1 (x : R) : R := exp x - 1.
Lemma row_expm1 (x : R) : is_derive expm1 x (exp x).
Proof. unfold expm1. auto_derive; [trivial|ring]. Qed.
Lemma row_log (x : R) : 0 < x -> is_derive ln x (1 / x).
Proof. intros H. auto_derive; [exact H|field; lra]. Qed.
Lemma ln_2_positive : 0 < ln 2.
Proof. rewrite <- ln_1. apply ln_increasing; lra. Qed.
Lemma ln_10_positive : 0 < ln 10.
Proof. rewrite <- ln_1. apply ln_increasing; lra. Qed.
Definition log2 (x : R) : R := ln x / ln 2.
Lemma row_log2 (x : R) : 0 < x -> is_derive log2 x (1 / (ln 2 * x)).
Proof. intros H. unfold log2. generalize ln_2_positive; intros P. auto_derive; [exact H|field; lra]. Qed.
Definition log10 (x : R) : R := ln x / ln 10.
Lemma row_log10 (x : R) : 0 < x -> is_derive log10 x (1 / (ln 10 * x)).
Proof. intros H. unfold log10. generalize ln_10_positive; intros P. auto_derive; [exact H|field; lra]. Qed.
Definition log1p (x : R) : R := ln (1 + x).
Lemma row_log1p (x : R) : -1 < x -> is_derive log1p x (1 / (1 + x)).
Proof. intros H. unfold log1p. auto_derive; [lra|field; lra]. Qed.
Lemma row_square (x : R) : is_derive (fun x => x * x) x (2 * x).
Proof. auto_derive; [trivial|ring]. Qed.
Lemma row_sqrt (x : R) : 0 < x -> is_derive sqrt x (1 / 2 / sqrt x).
Proof. intros H. auto_derive; [exact H|field]. apply Rgt_not_eq, sqrt_lt_R0, H. Qed.
Lemma row_pow (x y : R) : 0 < x ->
  slopes_2 Rpower x y (y * Rpower x (y - 1)) (Rpower x y * ln (x + equal x 0 * greater_equal y 0)).
Proof.
  intros H. intros u v t u' v' E <- U V. subst x.
  assert (Z : equal (u t) 0 = 0) by decide_all. rewrite Z. unfold Rpower.
  auto_derive; [repeat split; try (now eexists; eassumption); trivial
  | speeds].
  replace ((v t - 1) * ln (u t)) with (v t * ln (u t) + - ln (u t)) by ring.
  rewrite exp_plus, exp_Ropp, exp_ln by exact H. replace (u t + 0 * greater_equal (v t) 0) with (u t) by ring. field. lra.
Qed.
Lemma row_pow_natural (x : R) (n : nat) :
  is_derive (fun x => x ^ n) x (IZR (Z.of_nat n) * x ^ pred n).
Proof. rewrite <- INR_IZR_INZ. auto_derive; [trivial|ring]. Qed.
Lemma row_pow_inverse (x : R) (n : nat) : x <> 0 ->
  is_derive (fun x => 1 / x ^ n) x (IZR (- Z.of_nat n) * (1 / x ^ S n)).
Proof.
  intros H. rewrite opp_IZR, <- INR_IZR_INZ. auto_derive; [now apply pow_nonzero|].
  destruct n as [|n]; [cbn; field; exact H|]. rewrite Nat.pred_succ. cbn [pow]. field. split; [now apply pow_nonzero|exact H].
Qed.
Definition hypot (x y : R) : R := sqrt (x * x + y * y).
Lemma row_hypot (x y : R) : 0 < x * x + y * y ->
  slopes_2 hypot x y (choose (hypot x y) (x / hypot x y) 0) (choose (hypot x y) (y / hypot x y) 0).
Proof.
  intros H. assert (P : 0 < hypot x y) by (now apply sqrt_lt_R0).
  replace (choose (hypot x y) (x / hypot x y) 0) with (x / hypot x y) by decide_all.
  replace (choose (hypot x y) (y / hypot x y) 0) with (y / hypot x y) by decide_all.
  revert H P. unfold hypot. intros H P u v t u' v' <- <- U V.
  auto_derive; [repeat split; try (now eexists; eassumption); trivial
  | speeds].
  field. lra.
Qed.
Definition cbrt (x : R) : R := choose (less x 0) (- Rpower (- x) (1 / 3)) (Rpower x (1 / 3)).
Lemma row_cbrt (x : R) : x <> 0 -> is_derive cbrt x (1 / (3 * cbrt x * cbrt x)).
Proof.
  assert (K : forall y, 0 < y -> 1 / 3 * (/ y * Rpower y (1 / 3)) = 1 / (3 * Rpower y (1 / 3) * Rpower y (1 / 3))).
  { intros y Y. assert (C : Rpower y (1 / 3) * Rpower y (1 / 3) * Rpower y (1 / 3) = y).
    { rewrite <- !Rpower_plus. replace (1 / 3 + 1 / 3 + 1 / 3) with 1 by lra. now apply Rpower_1. }
    assert (P : 0 < Rpower y (1 / 3)) by apply exp_pos.
    replace (/ y) with (/ (Rpower y (1 / 3) * Rpower y (1 / 3) * Rpower y (1 / 3))) by now rewrite C. field. lra. }
  intros H. destruct (Rdichotomy _ _ H) as [L | G].
  - assert (E : cbrt x = - Rpower (- x) (1 / 3)) by (unfold cbrt; decide_all). rewrite E.
    apply (is_derive_ext_loc (fun x => - Rpower (- x) (1 / 3))).
    + generalize (open_lt 0 x L); apply filter_imp; intros s S. unfold cbrt; decide_all.
    + replace (1 / (3 * - Rpower (- x) (1 / 3) * - Rpower (- x) (1 / 3)))
        with (1 / (3 * Rpower (- x) (1 / 3) * Rpower (- x) (1 / 3))) by (f_equal; ring).
      rewrite <- K by lra. unfold Rpower. auto_derive; [lra|]. field; lra.
  - assert (E : cbrt x = Rpower x (1 / 3)) by (unfold cbrt; decide_all). rewrite E.
    apply (is_derive_ext_loc (fun x => Rpower x (1 / 3))).
    + generalize (open_gt 0 x G); apply filter_imp; intros s S. unfold cbrt; decide_all.
    + rewrite <- K by exact G. unfold Rpower. auto_derive; [lra|]. field; lra.
Qed.
Definition logaddexp (x y : R) : R := ln (exp x + exp y).
Lemma sigmoid_of_difference x y : sigmoid (x - y) = exp x / (exp x + exp y).
Proof.
  unfold sigmoid. replace (- (x - y)) with (y + - x) by ring. rewrite exp_plus, exp_Ropp.
  generalize (exp_pos x) (exp_pos y); intros; field; lra.
Qed.
Lemma row_logaddexp (x y : R) :
  slopes_2 logaddexp x y (sigmoid (choose (equal x y * 0) 0 (x - y))) (sigmoid (-choose (equal x y * 0) 0 (x -
    y))).
Proof.
  assert (C : choose (equal x y * 0) 0 (x - y) = x - y) by (unfold choose; decide_all). rewrite C.
  replace (- (x - y)) with (y - x) by ring. rewrite !sigmoid_of_difference. unfold logaddexp.
  generalize (exp_pos x) (exp_pos y); intros P Q. revert P Q.
  intros P Q u v t u' v' <- <- U V.
  auto_derive; [repeat split; try (now eexists; eassumption); lra
  | speeds]. field. lra.
Qed.
Definition log1mexp (x : R) : R := ln (1 - exp (- x)).
Lemma row_log1mexp (x : R) : 0 < x -> is_derive log1mexp x (exp (-x) / -expm1 (-x)).
Proof.
  intros H. assert (P : exp (- x) < 1) by (rewrite <- exp_0; apply exp_increasing; lra).
  unfold log1mexp, expm1. auto_derive; [lra|field; lra].
Qed.
Definition logit (x : R) : R := ln (x / (1 - x)).
Lemma row_logit (x : R) : 0 < x -> x < 1 -> is_derive logit x (1 / (x * (1 - x))).
Proof.
  intros H L. unfold logit. auto_derive; [|field; lra].
  split; [lra|]. split; [|trivial]. apply Rdiv_lt_0_compat; lra.
Qed.
Definition xlogy (x y : R) : R := x * ln y.
Lemma row_xlogy (x y : R) : 0 < y -> slopes_2 xlogy x y (choose (equal x 0 * less_equal y 0) 0 (ln y))
  (choose (equal x 0 * less_equal y 0) 0 (x / y)).
Proof.
  intros H. assert (C : forall slope, choose (equal x 0 * less_equal y 0) 0 slope = slope) by (intros; decide_all).
  rewrite 2!C. unfold xlogy. revert H C; intros H _ u v t u' v' <- <- U V.
  auto_derive; [repeat split; try (now eexists; eassumption); trivial
  | speeds]. field. lra.
Qed.
Definition xlog1py (x y : R) : R := x * log1p y.
Lemma row_xlog1py (x y : R) : -1 < y ->
  slopes_2 xlog1py x y (choose (equal x 0 * less_equal y (-1)) 0 (log1p y))
  (choose (equal x 0 * less_equal y (-1)) 0 (x / (1 + y))).
Proof.
  intros H. assert (C : forall slope, choose (equal x 0 * less_equal y (-1)) 0 slope = slope) by (intros; decide_all).
  rewrite 2!C. unfold xlog1py, log1p. revert H C; intros H _ u v t u' v' <- <- U V.
  auto_derive; [repeat split; try (now eexists; eassumption); lra
  | speeds]. field. lra.
Qed.
Lemma row_sin (x : R) : is_derive sin x (cos x).
Proof. auto_derive; [trivial|ring]. Qed.
Lemma row_cos (x : R) : is_derive cos x (-sin x).
Proof. auto_derive; [trivial|ring]. Qed.
Lemma row_tan (x : R) : cos x <> 0 -> is_derive tan x (1 + tan x * tan x).
Proof. intros H. unfold tan. auto_derive; [exact H|field; exact H]. Qed.
Lemma inside_positive x : -1 < x -> x < 1 -> 0 < sqrt ((1 - x) * (1 + x)).
Proof. intros H L. apply sqrt_lt_R0. apply Rmult_lt_0_compat; lra. Qed.
Lemma row_asin (x : R) : -1 < x -> x < 1 -> is_derive asin x (1 / sqrt ((1 - x) * (1 + x))).
Proof.
  intros H L. apply is_derive_Reals. replace ((1 - x) * (1 + x)) with (1 - x²) by (unfold Rsqr; ring).
  exact (derive_pt_eq_1 _ _ _ _ (derive_pt_asin x (conj H L))).
Qed.
Lemma row_acos (x : R) : -1 < x -> x < 1 -> is_derive acos x (-1 / sqrt ((1 - x) * (1 + x))).
Proof.
  intros H L. apply is_derive_Reals. replace ((1 - x) * (1 + x)) with (1 - x²) by (unfold Rsqr; ring).
  exact (derive_pt_eq_1 _ _ _ _ (derive_pt_acos x (conj H L))).
Qed.
Lemma row_atan (x : R) : is_derive atan x (1 / (1 + x * x)).
Proof.
  apply is_derive_Reals. generalize (derivable_pt_lim_atan x). unfold Rsqr. now intros; apply (eq_rect _ _ H); field; nra.
Qed.
Lemma row_sinh (x : R) : is_derive sinh x (cosh x).
Proof. unfold sinh, cosh. auto_derive; [trivial|field]. Qed.
Lemma row_cosh (x : R) : is_derive cosh x (sinh x).
Proof. unfold sinh, cosh. auto_derive; [trivial|field]. Qed.
Lemma row_tanh (x : R) : is_derive tanh x (1 - tanh x * tanh x).
Proof.
  unfold tanh, sinh, cosh. generalize (exp_pos x) (exp_pos (- x)); intros P Q.
  auto_derive; [lra|field; lra].
Qed.
Definition asinh (x : R) : R := ln (x + sqrt (x * x + 1)).
Lemma row_asinh (x : R) : is_derive asinh x (1 / hypot 1 x).
Proof.
  unfold asinh, hypot. replace (1 * 1 + x * x) with (x * x + 1) by ring.
  assert (S : 0 < sqrt (x * x + 1)) by (apply sqrt_lt_R0; nra).
  assert (Q : sqrt (x * x + 1) * sqrt (x * x + 1) = x * x + 1) by (apply sqrt_sqrt; nra).
  assert (P : 0 < x + sqrt (x * x + 1)) by nra.
  auto_derive; [repeat split; nra|]. field; lra.
Qed.
Definition acosh (x : R) : R := ln (x + sqrt (x * x - 1)).
Lemma row_acosh (x : R) : 1 < x -> is_derive acosh x (1 / (sqrt (x - 1) * sqrt (x + 1))).
Proof.
  intros H. unfold acosh. rewrite <- sqrt_mult by lra. replace ((x - 1) * (x + 1)) with (x * x - 1) by ring.
  assert (S : 0 < sqrt (x * x - 1)) by (apply sqrt_lt_R0; nra).
  auto_derive; replace (x * x + - (1)) with (x * x - 1) by ring; [repeat split; nra|field; lra].
Qed.
Definition atanh (x : R) : R := ln ((1 + x) / (1 - x)) / 2.
Lemma row_atanh (x : R) : -1 < x -> x < 1 -> is_derive atanh x (1 / ((1 - x) * (1 + x))).
Proof.
  intros H L. unfold atanh. auto_derive; [|field; lra].
  split; [lra|]. split; [|trivial]. apply Rdiv_lt_0_compat; lra.
Qed.
Definition atan2 (y x : R) : R :=
  if Rlt_dec 0 x then atan (y / x)
  else if Rlt_dec 0 y then PI / 2 - atan (x / y)
  else if Rlt_dec y 0 then - PI / 2 - atan (x / y)
  else choose x PI 0.
Lemma atan2_above y x : 0 < y -> atan2 y x = PI / 2 - atan (x / y).
Proof.
  intros Y. unfold atan2. destruct (Rlt_dec 0 x); destruct (Rlt_dec 0 y); try lra.
  rewrite <- (atan_inv (x / y)) by (apply Rdiv_lt_0_compat; lra). f_equal. field. lra.
Qed.
Lemma atan2_below y x : y < 0 -> atan2 y x = - PI / 2 - atan (x / y).
Proof.
  intros Y. unfold atan2. destruct (Rlt_dec 0 x); destruct (Rlt_dec 0 y); destruct (Rlt_dec y 0); try lra.
  replace (x / y) with (- (x / - y)) by (field; lra). rewrite atan_opp.
  replace (y / x) with (- (/ (x / - y))) by (field; lra).
  rewrite atan_opp, atan_inv by (apply Rdiv_lt_0_compat; lra). lra.
Qed.
Lemma row_atan2 (y x : R) : 0 < x \/ y <> 0 ->
  slopes_2 atan2 y x (x * (1 / hypot x y) * (1 / hypot x y)) (-y * (1 / hypot x y) * (1 / hypot x y)).
Proof.
  intros H. assert (P : 0 < x * x + y * y) by (destruct H as [H | H]; [nra | generalize (Rsqr_pos_lt y H); unfold Rsqr; nra]).
  assert (Q : hypot x y * hypot x y = x * x + y * y) by (apply sqrt_sqrt; lra).
  assert (S : 0 < hypot x y) by now apply sqrt_lt_R0.
  replace (x * (1 / hypot x y) * (1 / hypot x y)) with (x / (x * x + y * y)) by (rewrite <- Q; field; lra).
  replace (- y * (1 / hypot x y) * (1 / hypot x y)) with (- y / (x * x + y * y)) by (rewrite <- Q; field; lra).
  clear Q S. intros v u t v' u' EV EU V U. subst x y. destruct H as [X | Y].
  - apply (is_derive_ext_loc (fun s => atan (v s / u s))).
    + generalize (stays_less (fun _ => 0) u t 0 u' (@is_derive_const _ _ 0 t) U X).
      apply filter_imp; intros s Z. unfold atan2. destruct (Rlt_dec 0 (u s)); [trivial|contradiction].
    + auto_derive; [repeat split; try (now eexists; eassumption); lra
      | speeds]. unfold Rsqr. field. lra.
  - destruct (Rdichotomy _ _ Y) as [L | G].
    + apply (is_derive_ext_loc (fun s => - PI / 2 - atan (u s / v s))).
      * generalize (stays_less v (fun _ => 0) t v' 0 V (@is_derive_const _ _ 0 t) L).
        apply filter_imp; intros s Z. now rewrite atan2_below.
      * auto_derive; [repeat split; try (now eexists; eassumption); lra
        | speeds]. unfold Rsqr. field. lra.
    + apply (is_derive_ext_loc (fun s => PI / 2 - atan (u s / v s))).
      * generalize (stays_less (fun _ => 0) v t 0 v' (@is_derive_const _ _ 0 t) V G).
        apply filter_imp; intros s Z. now rewrite atan2_above.
      * auto_derive; [repeat split; try (now eexists; eassumption); lra
        | speeds]. unfold Rsqr. field. lra.
Qed.
Definition sinc (x : R) : R := choose x (sin (PI * x) / (PI * x)) 1.
Lemma row_sinc (x : R) : 1 / 2 <= Rabs x ->
  is_derive sinc x (choose (less (Rabs x) (1 / 2)) (x * (((((((((((206529709205661 / 156250000000000000000000000 *
    x * x + -7365893777096939 / 100000000000000000000000000) * x * x + 858269237491071 / 250000000000000000000000)
    * x * x + -13148481279991983 / 100000000000000000000000) * x * x + 4049947846619241 / 1000000000000000000000)
    * x * x + -610388945394933 / 6250000000000000000) * x * x + 1781145516372851 / 1000000000000000000) * x * x +
    -938432414182329 / 40000000000000000) * x * x + 2614784781765479 / 12500000000000000) * x * x +
    -228902188946501 / 200000000000000) * x * x + 1623484850566707 / 500000000000000) * x * x + -3289868133696453
    / 1000000000000000)) ((cos (PI * x) - sinc x) / x)).
Proof.
  intros H. assert (X : x <> 0) by (intros E; rewrite E, Rabs_R0 in H; lra).
  assert (C : forall a b, choose (less (Rabs x) (1 / 2)) a b = b) by (intros; decide_all). rewrite C.
  assert (E : sinc x = sin (PI * x) / (PI * x)) by (unfold sinc; decide_all). rewrite E.
  generalize PI_RGT_0; intros P.
  apply (is_derive_ext_loc (fun x => sin (PI * x) / (PI * x))).
  - apply (filter_imp (fun s => s <> 0)); [intros s S; unfold sinc; decide_all|]. now apply open_neq.
  - auto_derive; [apply Rmult_integral_contrapositive; lra|field; lra].
Qed.
Definition gauss (x : R) : R := exp (- x * x).
Definition erf (x : R) : R := 2 / sqrt PI * RInt (fun s => exp (- s * s)) 0 x.
Lemma row_erf (x : R) : is_derive erf x (2 / sqrt PI * exp (-x * x)).
Proof.
  unfold erf. apply @is_derive_scal.
  apply (is_derive_RInt (fun s => exp (- s * s)) _ 0 x).
  - exists (mkposreal 1 Rlt_0_1). intros y _. apply @RInt_correct, @ex_RInt_continuous.
    intros z _. apply @ex_derive_continuous. auto_derive; trivial.
  - apply @ex_derive_continuous. auto_derive; trivial.
Qed.
Definition erfc (x : R) : R := 1 - erf x.
Lemma row_erfc (x : R) : is_derive erfc x (-(2 / sqrt PI) * exp (-x * x)).
Proof.
  unfold erfc. apply (to _ _ (0 - 2 / sqrt PI * exp (- x * x))); [|ring].
  apply @is_derive_minus; [apply @is_derive_const | apply row_erf].
Qed.
Lemma row_sigmoid (x : R) : is_derive sigmoid x (sigmoid x * (1 - sigmoid x)).
Proof. unfold sigmoid. generalize (exp_pos (- x)); intros P. auto_derive; [lra|field; lra]. Qed.
Definition softplus (x : R) : R := ln (1 + exp x).
Lemma sigmoid_left x : sigmoid x = exp x / (1 + exp x).
Proof. unfold sigmoid. rewrite exp_Ropp. generalize (exp_pos x); intros P. field; lra. Qed.
Lemma row_softplus (x : R) : is_derive softplus x (sigmoid x).
Proof. rewrite sigmoid_left. unfold softplus. generalize (exp_pos x); intros P. auto_derive; [lra|field; lra]. Qed.
Definition logsigmoid (x : R) : R := - softplus (- x).
Lemma row_logsigmoid (x : R) : is_derive logsigmoid x (sigmoid (-x)).
Proof.
  rewrite sigmoid_left. unfold logsigmoid, softplus. generalize (exp_pos (- x)); intros P. auto_derive; [lra|field; lra].
Qed.
Definition silu (x : R) : R := x * sigmoid x.
Lemma row_silu (x : R) : is_derive silu x (sigmoid x * (1 + x * sigmoid (-x))).
Proof.
  rewrite (sigmoid_left (- x)). unfold silu, sigmoid. generalize (exp_pos (- x)); intros P.
  auto_derive; [lra|field; lra].
Qed.
Definition gelu (x : R) : R := 1 / 2 * x * erfc (- x * sqrt (1 / 2)).
Lemma row_gelu (x : R) :
  is_derive gelu x (1 / 2 * erfc (-x * sqrt (1 / 2)) + x * (1 / sqrt (2 * PI)) * exp (-1 / 2 * x * x)).
Proof.
  unfold gelu. generalize PI_RGT_0; intros P.
  assert (S : 0 < sqrt PI) by now apply sqrt_lt_R0.
  assert (H : 0 < sqrt (1 / 2)) by (apply sqrt_lt_R0; lra).
  assert (Q : sqrt (1 / 2) * sqrt (1 / 2) = 1 / 2) by (apply sqrt_sqrt; lra).
  assert (K : 1 / sqrt (2 * PI) = sqrt (1 / 2) / sqrt PI).
  { replace (2 * PI) with (PI / (1 / 2)) by field. rewrite sqrt_div by lra. field; lra. }
  assert (D := is_derive_comp erfc (fun x => - x * sqrt (1 / 2)) x _ (- sqrt (1 / 2)) (row_erfc (- x * sqrt (1 / 2)))).
  rewrite K. eapply to.
  - apply (is_derive_mult (fun x => 1 / 2 * x) (fun x => erfc (- x * sqrt (1 / 2))) x (1 / 2)).
    + auto_derive; [trivial|ring].
    + apply D. auto_derive; [trivial|ring].
    + intros; apply Rmult_comm.
  - unfold plus, mult, scal; cbn. unfold mult; cbn.
    replace (- (- x * sqrt (1 / 2)) * (- x * sqrt (1 / 2))) with (-1 / 2 * x * x)
      by (replace (- (- x * sqrt (1 / 2)) * (- x * sqrt (1 / 2))) with (- (x * x * (sqrt (1 / 2) * sqrt (1 / 2)))) by ring; rewrite Q; field).
    field. lra.
Qed.
Definition relu (x : R) : R := Rmax x 0.
Lemma row_relu (x : R) : x <> 0 -> is_derive relu x (greater x 0).
Proof.
  intros H. destruct (Rdichotomy _ _ H) as [L | G].
  - apply (is_derive_ext_loc (fun _ => 0)).
    + generalize (open_lt 0 x L); apply filter_imp; intros s S. unfold relu. now rewrite Rmax_right; [|left].
    + auto_derive; [trivial|]. decide_all.
  - apply (is_derive_ext_loc (fun x => x)).
    + generalize (open_gt 0 x G); apply filter_imp; intros s S. unfold relu. now rewrite Rmax_left; [|left].
    + auto_derive; [trivial|]. decide_all.
Qed.
Definition leaky_relu (x slope : R) : R := choose (greater x 0) x (slope * x).
Lemma row_leaky_relu (x slope : R) : x <> 0 ->
  slopes_2 leaky_relu x slope (choose (greater x 0) 1 slope) (choose (greater x 0) 0 x).
Proof.
  intros H u v t u' v' EU EV U V. subst x slope. destruct (Rdichotomy _ _ H) as [L | G].
  - apply (is_derive_ext_loc (fun s => v s * u s)).
    + generalize (stays_less u (fun _ => 0) t u' 0 U (@is_derive_const _ _ 0 t) L); apply filter_imp; intros s S.
      unfold leaky_relu. decide_all.
    + auto_derive; [repeat split; now eexists; eassumption|]. speeds. decide_all.
  - apply (is_derive_ext_loc u).
    + generalize (stays_less (fun _ => 0) u t 0 u' (@is_derive_const _ _ 0 t) U G); apply filter_imp; intros s S.
      unfold leaky_relu. decide_all.
    + apply (to _ _ u'); [exact U|]. decide_all.
Qed.
Definition elu (x alpha : R) : R := choose (greater x 0) x (alpha * expm1 x).
Lemma row_elu (x alpha : R) : x <> 0 ->
  slopes_2 elu x alpha (choose (greater x 0) 1 (alpha * exp x)) (choose (greater x 0) 0 (expm1 x)).
Proof.
  intros H u v t u' v' EU EV U V. subst x alpha. destruct (Rdichotomy _ _ H) as [L | G].
  - apply (is_derive_ext_loc (fun s => v s * expm1 (u s))).
    + generalize (stays_less u (fun _ => 0) t u' 0 U (@is_derive_const _ _ 0 t) L); apply filter_imp; intros s S.
      unfold elu. decide_all.
    + unfold expm1 at 1. auto_derive; [repeat split; now eexists; eassumption|].
      speeds. unfold expm1. decide_all.
  - apply (is_derive_ext_loc u).
    + generalize (stays_less (fun _ => 0) u t 0 u' (@is_derive_const _ _ 0 t) U G); apply filter_imp; intros s S.
      unfold elu. decide_all.
    + apply (to _ _ u'); [exact U|]. decide_all.
Qed.
Lemma row_maximum (x y : R) : x <> y -> slopes_2 Rmax x y (share x y) (share y x).
Proof.
  intros H u v t u' v' EU EV U V. subst x y. destruct (Rdichotomy _ _ H) as [L | G].
  - apply (is_derive_ext_loc v).
    + generalize (stays_less _ _ _ _ _ U V L); apply filter_imp; intros s S. now rewrite Rmax_right; [|left].
    + apply (to _ _ v'); [exact V|]. decide_all.
  - apply (is_derive_ext_loc u).
    + generalize (stays_less _ _ _ _ _ V U G); apply filter_imp; intros s S. now rewrite Rmax_left; [|left].
    + apply (to _ _ u'); [exact U|]. decide_all.
Qed.
Lemma row_minimum (x y : R) : x <> y -> slopes_2 Rmin x y (share y x) (share x y).
Proof.
  intros H u v t u' v' EU EV U V. subst x y. destruct (Rdichotomy _ _ H) as [L | G].
  - apply (is_derive_ext_loc u).
    + generalize (stays_less _ _ _ _ _ U V L); apply filter_imp; intros s S. now rewrite Rmin_left; [|left].
    + apply (to _ _ u'); [exact U|]. decide_all.
  - apply (is_derive_ext_loc v).
    + generalize (stays_less _ _ _ _ _ V U G); apply filter_imp; intros s S. now rewrite Rmin_right; [|left].
    + apply (to _ _ v'); [exact V|]. decide_all.
Qed.
Definition clamp (x low high : R) : R := Rmin (Rmax x low) high.
Lemma row_clamp (x low high : R) : x <> low -> x <> high -> low <> high ->
  slopes_3 clamp x low high (greater_equal x low * less_equal x high) (less x low * less_equal low high) (greater
    (Rmax x low) high).
Proof.
  intros A B C u v w t u' v' w' EU EV EW U V W. subst x low high. unfold clamp.
  assert (D := row_maximum _ _ A u v t u' v' eq_refl eq_refl U V).
  assert (N : Rmax (u t) (v t) <> w t) by (unfold Rmax; destruct (Rle_dec (u t) (v t)); trivial).
  assert (E := row_minimum _ _ N (fun s => Rmax (u s) (v s)) w t _ _ eq_refl eq_refl D W).
  apply (to _ _ _ _ E). clear D E. unfold Rmax in *. destruct (Rle_dec (u t) (v t)); decide_all.
Qed.
Lemma row_contribution (upstream local : R) :
  slopes_2 (fun upstream local => upstream * local) upstream local local upstream.
Proof. apply row_mul. Qed.

Lemma row_where (condition x y : R) : slopes_after choose condition x y 0 (not_equal condition 0) (equal condition 0).
Proof.
  intros u v w t v' w' EU EV EW U V W. subst condition x y.
  apply (is_derive_ext_loc (fun s => choose (u t) (v s) (w s))).
  - revert U; apply filter_imp; intros s S. now rewrite S.
  - unfold choose, not_equal, equal. destruct (Req_EM_T (u t) 0).
    + apply (to _ _ w'); [exact W|ring].
    + apply (to _ _ v'); [exact V|ring].
Qed.
Lemma row_where_moving (condition x y : R) : condition <> 0 ->
  slopes_3 choose condition x y 0 (not_equal condition 0) (equal condition 0).
Proof.
  intros N u v w t u' v' w' EU EV EW U V W. subst condition x y.
  apply (is_derive_ext_loc v).
  - generalize (stays_not u (fun _ => 0) t u' 0 U (@is_derive_const _ _ 0 t) N).
    apply filter_imp; intros s S. unfold choose. now destruct (Req_EM_T (u s) 0).
  - apply (to _ _ v'); [exact V|]. unfold choose, not_equal, equal. destruct (Req_EM_T (u t) 0); [contradiction|ring].
Qed.

Lemma row_sign (x : R) : x <> 0 -> flat_1 sign x.
Proof.
  intros N u t u' <- U. destruct (Rdichotomy _ _ N) as [L | G].
  - generalize (stays_less u (fun _ => 0) t u' 0 U (@is_derive_const _ _ 0 t) L); apply filter_imp; intros s S; decide_all.
  - generalize (stays_less (fun _ => 0) u t 0 u' (@is_derive_const _ _ 0 t) U G); apply filter_imp; intros s S; decide_all.
Qed.
Lemma row_step (x : R) : x <> 0 -> flat_1 step x.
Proof.
  intros N u t u' <- U. destruct (Rdichotomy _ _ N) as [L | G].
  - generalize (stays_less u (fun _ => 0) t u' 0 U (@is_derive_const _ _ 0 t) L); apply filter_imp; intros s S; decide_all.
  - generalize (stays_less (fun _ => 0) u t 0 u' (@is_derive_const _ _ 0 t) U G); apply filter_imp; intros s S; decide_all.
Qed.
Definition floor (x : R) : R := IZR (Int_part x).
Lemma row_floor (x : R) : x <> floor x -> flat_1 floor x.
Proof.
  intros N u t u' <- U. unfold floor in *. destruct (base_Int_part (u t)) as [A B].
  assert (L : IZR (Int_part (u t)) < u t) by lra.
  assert (G : u t < IZR (Int_part (u t)) + 1) by lra.
  set (n := Int_part (u t)) in *.
  generalize (filter_and _ _ (stays_less (fun _ => IZR n) u t 0 u' (@is_derive_const _ _ _ t) U L)
    (stays_less u (fun _ => IZR n + 1) t u' 0 U (@is_derive_const _ _ _ t) G)).
  apply filter_imp; intros s [P Q]. f_equal. unfold Int_part. rewrite <- (tech_up (u s) (n + 1)); [lia | rewrite plus_IZR; lra | rewrite plus_IZR; lra].
Qed.
Definition ceil (x : R) : R := - floor (- x).
Lemma row_ceil (x : R) : x <> ceil x -> flat_1 ceil x.
Proof.
  intros N u t u' <- U. unfold ceil in *.
  assert (D : is_derive (fun s => - u s) t (- u')) by now apply @is_derive_opp.
  assert (M : - u t <> floor (- u t)) by lra.
  generalize (row_floor _ M (fun s => - u s) t _ eq_refl D). apply filter_imp; intros s S. now rewrite S.
Qed.
Definition floordiv (x y : R) : R := floor (x / y).
Lemma row_floordiv (x y : R) : y <> 0 -> x / y <> floor (x / y) -> flat_2 floordiv x y.
Proof.
  intros Y N u v t u' v' EU EV U V. subst x y.
  assert (D := row_div (u t) (v t) Y u v t u' v' eq_refl eq_refl U V).
  exact (row_floor _ N (fun s => u s / v s) t _ eq_refl D).
Qed.
Definition modulo (x y : R) : R := x - y * floordiv x y.
Lemma row_mod (x y : R) : y <> 0 -> x / y <> floor (x / y) -> slopes_2 modulo x y 1 (-floordiv x y).
Proof.
  intros Y N u v t u' v' EU EV U V. subst x y.
  assert (F := row_floordiv _ _ Y N u v t u' v' eq_refl eq_refl U V).
  apply (is_derive_ext_loc (fun s => u s - v s * floordiv (u t) (v t))).
  - revert F; apply filter_imp; intros s S. unfold modulo. now rewrite S.
  - auto_derive; [repeat split; now eexists; eassumption|]. speeds. ring.
Qed.
Lemma flat_comparison (f : R -> R -> R) x y :
  (forall a b, a < b -> f a b = f (-1) 0) -> (forall a b, b < a -> f a b = f 1 0) -> x <> y -> flat_2 f x y.
Proof.
  intros B A N u v t u' v' EU EV U V. subst x y. destruct (Rdichotomy _ _ N) as [L | G].
  - generalize (stays_less _ _ _ _ _ U V L); apply filter_imp; intros s S. now rewrite (B _ _ S), (B _ _ L).
  - generalize (stays_less _ _ _ _ _ V U G); apply filter_imp; intros s S. now rewrite (A _ _ S), (A _ _ G).
Qed.
Lemma row_share (x y : R) : x <> y -> flat_2 share x y.
Proof. apply flat_comparison; intros; decide_all. Qed.
Lemma row_less (x y : R) : x <> y -> flat_2 less x y.
Proof. apply flat_comparison; intros; decide_all. Qed.
Lemma row_less_equal (x y : R) : x <> y -> flat_2 less_equal x y.
Proof. apply flat_comparison; intros; decide_all. Qed.
Lemma row_greater (x y : R) : x <> y -> flat_2 greater x y.
Proof. apply flat_comparison; intros; decide_all. Qed.
Lemma row_greater_equal (x y : R) : x <> y -> flat_2 greater_equal x y.
Proof. apply flat_comparison; intros; decide_all. Qed.
Lemma row_equal (x y : R) : x <> y -> flat_2 equal x y.
Proof. apply flat_comparison; intros; decide_all. Qed.
Lemma row_not_equal (x y : R) : x <> y -> flat_2 not_equal x y.
Proof. apply flat_comparison; intros; decide_all. Qed.

(* whole vectors *)
Fixpoint sum (xs : list R) : R := match xs with [] => 0 | x :: rest => x + sum rest end.
Lemma sum_of_each (f f' : R -> R) us t ms : operands t us ms -> (forall x, is_derive f x (f' x)) ->
  is_derive (fun s => sum (map f (us s))) t (dotted (map f' (us t)) ms).
Proof.
  intros H D. induction H as [|u m us ms U _ IH]; cbn; [apply @is_derive_const|].
  apply @is_derive_plus; [|exact IH]. rewrite Rmult_comm.
  apply (is_derive_comp f u); [apply D | now apply operand_derive].
Qed.
Lemma row_sum (xs : list R) : slopes_list sum xs (map (fun _ => 1) xs).
Proof.
  intros us t ms <- H. apply (is_derive_ext (fun s => sum (map (fun x => x) (us s)))); [intros s; now rewrite map_id|].
  apply (sum_of_each _ (fun _ => 1) _ _ _ H). intros x; auto_derive; trivial.
Qed.
Fixpoint dot (xs ys : list R) (b : R) : R :=
  match xs, ys with x :: xs, y :: ys => x * y + dot xs ys b | _, _ => b end.
Lemma dotted_app ls ms ls' ms' : length ls = length ms -> dotted (ls ++ ls') (ms ++ ms') = dotted ls ms + dotted ls' ms'.
Proof.
  revert ms; induction ls as [|l ls IH]; intros [|m ms] E; cbn in *; try discriminate; [ring|].
  rewrite IH by (now injection E). ring.
Qed.
Lemma length_operands t us ms : operands t us ms -> length (us t) = length ms.
Proof. intros H; induction H; cbn; congruence. Qed.
Lemma chain_dot us vs b t ms ns o :
  operands t us ms -> operands t vs ns -> operand t b o -> length ms = length ns ->
  is_derive (fun s => dot (us s) (vs s) (b s)) t (tangent (edges (vs t ++ us t ++ [1]) (ms ++ ns ++ [o]))).
Proof.
  intros U V B E. rewrite tangent_edges.
  assert (LU := length_operands _ _ _ U). assert (LV := length_operands _ _ _ V).
  rewrite !dotted_app by congruence.
  assert (D : is_derive (fun s => dot (us s) (vs s) (b s)) t (dotted (vs t) ms + dotted (us t) ns + rate o)).
  { clear LU LV. revert vs ns V E; induction U as [|u m us ms U1 U IH]; intros vs ns V E; destruct V as [|v n vs ns V1 V];
      try discriminate; cbn.
    - apply (to _ _ (rate o)); [now apply operand_derive|ring].
    - apply (to _ _ (v t * rate m + u t * rate n + (dotted (vs t) ms + dotted (us t) ns + rate o))); [|ring].
      apply @is_derive_plus; [|apply IH; [exact V | now injection E]].
      apply operand_derive in U1. apply operand_derive in V1. now apply (row_mul (u t) (v t)). }
  apply (to _ _ _ _ D). cbn. ring.
Qed.
Definition logsumexp (xs : list R) : R := ln (sum (map exp xs)).
Lemma sum_exp_positive xs : xs <> [] -> 0 < sum (map exp xs).
Proof.
  destruct xs as [|x xs]; [contradiction|intros _]. cbn.
  assert (P : 0 <= sum (map exp xs)).
  { induction xs as [|y ys IH]; cbn; [lra|]. generalize (exp_pos y); lra. }
  generalize (exp_pos x); lra.
Qed.
Lemma dotted_scaled c (f : R -> R) xs ms : dotted (map (fun x => c * f x) xs) ms = c * dotted (map f xs) ms.
Proof. revert ms; induction xs as [|x xs IH]; intros [|m ms]; cbn; try ring. rewrite IH; ring. Qed.
Lemma row_logsumexp (xs : list R) : xs <> [] -> slopes_list logsumexp xs (map (fun x => exp (x - logsumexp xs)) xs).
Proof.
  intros N us t ms E H. assert (P := sum_exp_positive _ N). unfold logsumexp. subst xs.
  assert (D := sum_of_each exp exp us t ms H row_exp).
  apply (is_derive_ext_loc (fun s => ln (sum (map exp (us s))))); [now exists (mkposreal 1 Rlt_0_1)|].
  apply (to _ _ (/ sum (map exp (us t)) * dotted (map exp (us t)) ms)).
  - rewrite Rmult_comm. apply (is_derive_comp ln (fun s => sum (map exp (us s)))); [|exact D].
    apply (to _ _ _ _ (row_log _ P)). field. lra.
  - rewrite <- dotted_scaled. f_equal. apply map_ext. intros x. unfold Rminus.
    rewrite exp_plus, exp_Ropp, exp_ln by exact P. ring.
Qed.
Definition norm_of (xs : list R) : R := sqrt (sum (map (fun x => x * x) xs)).
Lemma row_norm (xs : list R) : 0 < norm_of xs ->
  slopes_list norm_of xs (map (fun x => choose (norm_of xs) (x / norm_of xs) 0) xs).
Proof.
  intros N us t ms E H. subst xs.
  assert (P : 0 < sum (map (fun x => x * x) (us t))).
  { destruct (Rle_or_lt (sum (map (fun x => x * x) (us t))) 0) as [L | L]; [|exact L].
    unfold norm_of in N. rewrite sqrt_neg_0 in N by exact L. lra. }
  assert (D := sum_of_each (fun x => x * x) (fun x => 2 * x) us t ms H row_square).
  apply (to _ _ (/ (2 * norm_of (us t)) * dotted (map (fun x => 2 * x) (us t)) ms)).
  - rewrite Rmult_comm. apply (is_derive_comp sqrt (fun s => sum (map (fun x => x * x) (us s)))); [|exact D].
    apply (to _ _ _ _ (row_sqrt _ P)). unfold norm_of. field. unfold norm_of in N. lra.
  - rewrite <- (dotted_scaled (/ (2 * norm_of (us t))) (fun x => 2 * x)). f_equal. apply map_ext. intros x.
    unfold choose. destruct (Req_EM_T (norm_of (us t)) 0); [lra|]. field. lra.
Qed.

(* erfinv *)
Lemma erf_increasing x y : x < y -> erf x < erf y.
Proof.
  intros H. assert (P : forall z, 0 < 2 / sqrt PI * exp (- z * z)).
  { intros z. apply Rmult_lt_0_compat; [|apply exp_pos]. apply Rdiv_lt_0_compat; [lra|]. apply sqrt_lt_R0, PI_RGT_0. }
  destruct (MVT_gen erf x y (fun z => 2 / sqrt PI * exp (- z * z))) as [c [_ E]].
  - intros z _. apply row_erf.
  - intros z _. apply continuity_pt_filterlim. apply @ex_derive_continuous. eexists; apply row_erf.
  - generalize (P c); intros Q. assert (0 < erf y - erf x) by (rewrite E; apply Rmult_lt_0_compat; lra). lra.
Qed.
Definition erfinv (x : R) : R := iota (fun y : R_NormedModule => erf y = x).
Lemma erfinv_erf y : erfinv (erf y) = y.
Proof.
  unfold erfinv. apply (iota_unique (V := R_CompleteNormedModule)); [|trivial]. intros z E.
  destruct (Rtotal_order z y) as [L | [L | L]]; [|exact L|]; apply erf_increasing in L; lra.
Qed.
Lemma row_erfinv (x : R) : erf (erfinv x) = x -> is_derive erfinv x (sqrt PI / 2 * exp (erfinv x * erfinv x)).
Proof.
  intros E. set (y := erfinv x) in *.
  assert (A : erf (y - 1) < x) by (rewrite <- E; apply erf_increasing; lra).
  assert (B : x < erf (y + 1)) by (rewrite <- E; apply erf_increasing; lra).
  assert (C : continuity erf).
  { intros z. apply continuity_pt_filterlim. apply @ex_derive_continuous. eexists; apply row_erf. }
  assert (S : forall z, erf (y - 1) <= z -> z <= erf (y + 1) -> y - 1 <= erfinv z <= y + 1 /\ erf (erfinv z) = z).
  { intros z L U. destruct (IVT_gen erf (y - 1) (y + 1) z C) as [w [W F]].
    - rewrite Rmin_left, Rmax_right by lra. lra.
    - rewrite Rmin_left, Rmax_right in W by lra. rewrite <- F, erfinv_erf. lra. }
  assert (P : forall z, 0 < 2 / sqrt PI * exp (- z * z)).
  { intros z. apply Rmult_lt_0_compat; [|apply exp_pos]. apply Rdiv_lt_0_compat; [lra|]. apply sqrt_lt_R0, PI_RGT_0. }
  assert (D : derivable_pt erfinv x).
  { unshelve eapply (derivable_pt_recip_interv erf erfinv (y - 1) (y + 1)); try lra.
    - intros z L U. exact (proj1 (S z L U)).
    - intros z _. exists (2 / sqrt PI * exp (- z * z)). apply is_derive_Reals, row_erf.
    - intros z L U. exact (proj2 (S z L U)).
    - intros; now apply erf_increasing.
    - intros N. rewrite (derive_pt_eq_0 _ _ (2 / sqrt PI * exp (- erfinv x * erfinv x))) in N.
      + generalize (P (erfinv x)); lra.
      + apply is_derive_Reals, row_erf. }
  destruct D as [d D]. apply is_derive_Reals in D.
  assert (F : is_derive (fun z => erf (erfinv z)) x (d * (2 / sqrt PI * exp (- y * y)))).
  { apply (is_derive_comp erf erfinv); [apply row_erf|exact D]. }
  assert (G : is_derive (fun z => erf (erfinv z)) x 1).
  { apply (is_derive_ext_loc (fun z => z)); [|apply @is_derive_id].
    generalize (filter_and _ _ (open_gt (erf (y - 1)) x A) (open_lt (erf (y + 1)) x B)).
    apply filter_imp; intros z [L U]. symmetry. apply S; apply Rlt_le; assumption. }
  assert (U := is_derive_unique _ _ _ F). rewrite (is_derive_unique _ _ _ G) in U.
  apply (to _ _ _ _ D). replace (exp (y * y)) with (/ exp (- y * y)) by (rewrite <- exp_Ropp; f_equal; ring).
  assert (Q : 0 < sqrt PI) by (apply sqrt_lt_R0, PI_RGT_0). generalize (exp_pos (- y * y)); intros X.
  apply (Rmult_eq_reg_r (2 / sqrt PI * exp (- y * y))); [|generalize (P y); lra]. rewrite <- U. field. lra.
Qed.


Lemma still_1 {A : Type} (f : A -> R) (u : R -> A) (t : R) :
  locally t (fun s => u s = u t) -> locally t (fun s => f (u s) = f (u t)).
Proof. apply filter_imp; intros s S; now rewrite S. Qed.
Lemma still_2 {A B C : Type} (f : A -> B -> C) (u : R -> A) (v : R -> B) (t : R) :
  locally t (fun s => u s = u t) -> locally t (fun s => v s = v t) ->
  locally t (fun s => f (u s) (v s) = f (u t) (v t)).
Proof.
  intros U V. generalize (filter_and _ _ U V). apply filter_imp; intros s [S T]. now rewrite S, T.
Qed.
Lemma still_fixed {A : Type} (c : A) (t : R) : locally t (fun _ : R => c = c).
Proof. now exists (mkposreal 1 Rlt_0_1). Qed.
Lemma same_line (f g : R -> R) (t d d' : R) : is_derive f t d -> (forall s, f s = g s) -> d = d' -> is_derive g t d'.
Proof. intros F E <-. exact (is_derive_ext _ _ _ _ E F). Qed.
Ltac line proof := let H := fresh in pose proof proof as H; exact H.
Ltac algebra := first [reflexivity | ring | field | decide_all].
Ltac agree := cbn [tangent edges Z.of_nat Pos.of_succ_nat Pos.succ pred pow];
  repeat first [reflexivity | ring | lra | progress f_equal | field | progress decide_all].

Fixpoint every (conditions : list Prop) : Prop :=
  match conditions with [] => True | condition :: rest => condition /\ every rest end.
Lemma one_of n conditions : every conditions -> nth n conditions True.
Proof.
  revert n; induction conditions as [|c rest IH]; intros [|n] H; cbn in *; trivial; [exact (proj1 H) | now apply IH].
Qed.

Fixpoint weighted (by_leaf : list (positive * R)) (speed : positive -> R) : R :=
  match by_leaf with [] => 0 | (i, d) :: rest => d * speed i + weighted rest speed end.
Fixpoint entry (i : positive) (by_leaf : list (positive * R)) : R :=
  match by_leaf with [] => 0 | (j, d) :: rest => if Pos.eqb j i then d else entry i rest end.
Fixpoint mentions (i : positive) (numbers : list positive) : bool :=
  match numbers with [] => false | j :: rest => (Pos.eqb j i || mentions i rest)%bool end.
Fixpoint distinct (numbers : list positive) : bool :=
  match numbers with [] => true | j :: rest => (negb (mentions j rest) && distinct rest)%bool end.
Definition alone (i : positive) : positive -> R := fun j => if Pos.eqb j i then 1 else 0.
Lemma weighted_alone i by_leaf : distinct (map fst by_leaf) = true -> weighted by_leaf (alone i) = entry i by_leaf.
Proof.
  assert (Z : forall l, mentions i (map fst l) = false -> weighted l (alone i) = 0).
  { induction l as [|[j d] rest IH]; cbn; [trivial|]. unfold alone at 1. destruct (Pos.eqb j i); [discriminate|].
    intros M. rewrite IH by exact M. ring. }
  induction by_leaf as [|[j d] rest IH]; cbn; [trivial|]. intros D. apply andb_prop in D. destruct D as [N D].
  unfold alone at 1. destruct (Pos.eqb j i) eqn:E.
  - apply Pos.eqb_eq in E. subst j. rewrite Z; [ring|]. now apply Bool.negb_true_iff.
  - rewrite (IH D). ring.
Qed.
Lemma one_at_a_time (f : R -> R) i x by_leaf :
  is_derive f x (weighted by_leaf (alone i)) -> distinct (map fst by_leaf) = true -> is_derive f x (entry i by_leaf).
Proof. intros H D. now rewrite <- weighted_alone. Qed.
Lemma put_moves leaf i x j : is_derive (fun s => put leaf i s j) x (alone i j).
Proof. unfold put, alone. destruct (Pos.eqb j i); [apply @is_derive_id | apply @is_derive_const]. Qed.

"""A minute of somebody's speech to a voice: preparation, the two training stages, and the loop they share.

One voice:

* `recordings`, `prepare`, `hearing`, `doubts`: files to recordings, these to items; what official encoders make of
  them; what may be wrong with them
* `base`, `official_base`: what training starts from
* `recipe`, `stages`, `voice`: how hard; the stages of a recipe; the whole way from recordings to a voice file
* `semantic`, `acoustic`, `codes`: our stage of S1, of S2 with its critics, the training of a base's codes
* `upstream_semantic`, `upstream_semantic_stage`, `upstream_acoustic_stage`, `upstream_batches`, `scaled_adam`: the same
  as upstream trains it
* `loop`, `batches`, `groups`: steps and checkpoints; padding; which parameters move how fast
* `early`, `frugal`, `memory`: stop in time; go on with smaller batches; compute again instead of keeping
* `quick`, `rows`: the faster forms under bfloat16, and their convolutions
* `adapters`: low-rank pairs in a model that trains
* `keep`, `written`, `show`, `zero_shot`: material as files; official folders; the progress line; a voice at once

Many: `crowd` takes a list of requests, `crowd_stage` trains one stage of a group of them, `crowd_store` is what a
killed run goes on from; `together` has the losses of many voices in one pass, `row_adam` their optimiser. `distributed`
trains one base in several processes. `experiments` compares our recipe with upstream's.
"""

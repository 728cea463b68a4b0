"""Every name that is registered with scvi-tools or written into an AnnData, spelled once."""

from __future__ import annotations

from typing import Final

# Written by tl.score under key_added (default "dtp").
KEY_ADDED: Final = "dtp"
LOGIT_SUFFIX: Final = "_logit"
SCORE_SUFFIX: Final = "_score"
RANK_SUFFIX: Final = "_rank"
STD_SUFFIX: Final = "_std"
SET_SUFFIX: Final = "_set"
CALL_SUFFIX: Final = "_call"
RESPONSES_SUFFIX: Final = "_responses"

# Written by tl.attribute behind key_added, into varm and uns.
ATTRIBUTION_SUFFIX: Final = "_attribution"

# The bundled model that tl.score takes where none is named.
DEFAULT_MODEL: Final = "aml-tolerance"

# Written by tl.cross_validate.
CV_KEY: Final = "dtp_cv"

# Written by tl.permutation_control.
PERMUTATION_KEY: Final = "dtp_permutation"
ATTRIBUTION_STABILITY_KEY: Final = "dtp_attribution_stability"

# Written by tl.survival.
SURVIVAL_KEY: Final = "dtp_survival"

# Written by tl.drug_response.
DRUG_RESPONSE_KEY: Final = "dtp_drug_response"

# Written by tl.enrichment.
ENRICHMENT_KEY: Final = "dtp_enrichment"

# Written by tl.signatures and tl.compare_signatures.
SIGNATURES_KEY: Final = "dtp_signatures"
SIGNATURE_COMPARISON_KEY: Final = "dtp_signature_comparison"
# Written by tl.rank_targets and tl.target_recovery.
TARGETS_KEY: Final = "dtp_targets"
TARGET_RECOVERY_KEY: Final = "dtp_target_recovery"

# Written by an evaluation of a student against its teacher.
FIDELITY_KEY: Final = "dtp_fidelity"

# Written by the simulators.
SIMULATION_KEY: Final = "dtp_simulation"

# Written by the readers of cohorts.
COHORT_KEY: Final = "dtp_cohort"
DRUG_AUC_KEY: Final = "drug_auc"
PATIENT_KEY: Final = "patient"
TIME_KEY: Final = "time"
EVENT_KEY: Final = "event"
LN_IC50_KEY: Final = "ln_ic50"

# Words of obsm[RESPONSE_KEY] of cell lines, and of the truth of simulated cells.
RESISTANT: Final = "resistant"
SENSITIVE: Final = "sensitive"

# Written by tl.compare_transfer.
TRANSFER_COMPARISON_KEY: Final = "dtp_drug_transfer"

# Left in ``attrs`` by tl.compare_attributions.
ATTRIBUTION_COMPARISON_KEY: Final = "dtp_attribution_comparison"

# Left in ``attrs`` by the readers of target evidence, and by tl.essentiality.
REPORT_KEY: Final = "dtp_report"
ESSENTIALITY_KEY: Final = "dtp_essentiality"

# Written by pp.pseudobulk.
PSEUDOBULK_KEY: Final = "dtp_pseudobulk"

# Written by pp.close_composition, pp.response_labels, pp.Combat and pp.scale_by.
COMPOSITION_KEY: Final = "dtp_composition"
RESPONSE_KEY: Final = "response"
RESPONSE_LABELS_KEY: Final = "dtp_response"
RECIST_SUFFIX: Final = "_recist"
COMBAT_KEY: Final = "dtp_combat"
SCALE_BY_KEY: Final = "dtp_scale_by"

# Values as a reader found them, before it mended anything.
AS_READ_LAYER: Final = "as_read"

# Written by pp.audit.
AUDIT_KEY: Final = "dtp_audit"

# The layer in which models look for counts by convention; never taken without being named.
COUNTS_LAYER: Final = "counts"

# The library size of the model scale: log1p(TARGET_SUM * x / total).
TARGET_SUM: Final = 1e4

# With four donors no rank correlation reaches p < 0.05: 2 of 4! orders give 0.083.
FEWEST_DONORS: Final = 5

# Quantiles and moments of fewer rows would be single rows.
FEWEST_ROWS: Final = 20

# Moments of a query that is mapped onto the training rows (align="moments").
FEWEST_FOR_MOMENTS: Final = 10

# Names of the comparators that stand beside every model.
TEACHER: Final = "teacher"
STUDENT: Final = "student"
LOGISTIC_REGRESSION: Final = "logistic_regression"
GRADIENT_BOOSTING: Final = "gradient_boosting"
RANDOM_FOREST: Final = "random_forest"
MEAN_EXPRESSION: Final = "mean_expression"
LSC17: Final = "lsc17"
IFNG: Final = "ifng"
CTL: Final = "ctl"
SVM_RBF: Final = "svm_rbf"
ADABOOST: Final = "adaboost"
XGBOOST: Final = "xgboost"
SVM_GRID: Final = "svm_grid"
RANDOM_FOREST_GRID: Final = "random_forest_grid"
ADABOOST_GRID: Final = "adaboost_grid"
STUDY_ONLY: Final = "study_only"
RIDGE: Final = "ridge"
PREVALENCE: Final = "prevalence"

# Written by pp.pair_controls: control profiles in obsm, the part each control well plays in obs.
CONTROL_KEY: Final = "dtp_control"
CONTROL_SCORING_KEY: Final = "dtp_control_scoring"
CONTROL_ROLE_KEY: Final = "dtp_control_role"
CONTROLS_KEY: Final = "dtp_controls"
LOG_LAYER: Final = "dtp_log1p"

# Written by tl.evaluate_perturbation.
EVALUATION_KEY: Final = "dtp_evaluation"
# Metrics of its table that are errors, or ranks among other drugs.
LOWER_IS_BETTER: Final = (
    "mse",
    "rmse",
    "mae",
    "mmd",
    "discrimination_l1",
    "centroid_rank",
    "retrieval_rank",
)

# Written by tl.attention.
ATTENTION_KEY: Final = "dtp_attention"

# Names of the comparators of perturbation models.
COPY_CONTROL: Final = "copy_control"
CELL_CONTROL_MEAN: Final = "cell_control_mean"
MEAN_DELTA: Final = "mean_delta"
CELL_MEAN_DELTA: Final = "cell_mean_delta"
DRUG_MEAN_DELTA: Final = "drug_mean_delta"
ADDITIVE: Final = "additive"
PERTURBATION_RIDGE: Final = "ridge"
TANIMOTO_KNN: Final = "tanimoto_knn"
DRUG_FREE_MLP: Final = "drug_free_mlp"
BILINEAR: Final = "bilinear"

RESPONSE_RESEARCH_USE: Final = (
    "For research use only. The score is a predicted ex-vivo response of a sample; it is not a "
    "diagnosis, not a clinical outcome and no guide to treatment."
)
TARGETS_RESEARCH_USE: Final = (
    "For research use only. A rank says where to look in the laboratory; it is no evidence that a "
    "protein can be targeted, or safely."
)
REPRESENTATION_RESEARCH_USE: Final = (
    "For research use only. A latent representation says which rows look alike to the model; it "
    "is not a diagnosis and not a statement about a patient."
)
PERTURBATION_RESEARCH_USE: Final = (
    "For research use only. A predicted change says what a drug may do to the expression of cells "
    "like those of training; it is no statement about a patient and no guide to treatment."
)
RESEARCH_USE: Final = (
    "For research use only. The score is the predicted membership of the positive training "
    "class; it is not a diagnosis and not a statement about a patient."
)

# Left in ``attrs`` by tl.embedding_vs_network and tl.gene_map.
EMBEDDING_NETWORK_KEY: Final = "dtp_embedding_network"
GENE_MAP_KEY: Final = "dtp_gene_map"

# Left in ``attrs`` by tl.gene_survival.
GENE_SURVIVAL_KEY: Final = "dtp_gene_survival"

# Written by pp.to_gene_list, pp.rank_tokens, and pp.record_embedding or tl.embed.
GENE_LIST_KEY: Final = "dtp_gene_list"
FEW_GENES_KEY: Final = "few_genes"
RANK_TOKENS_KEY: Final = "dtp_rank_tokens"
TOKENS_OBSM_KEY: Final = "X_rank_tokens"
LENGTH_SUFFIX: Final = "_length"
EMBEDDINGS_KEY: Final = "dtp_embeddings"

# Cells with fewer genes of a foundation model's list are flagged, as scFoundation drops them.
FEWEST_GENES: Final = 200
# Written by pp.encode_drugs, pp.split_perturbation and the readers of perturbation data.
DRUGS_KEY: Final = "drugs"
SPLIT_KEY: Final = "split"
SPLITS_KEY: Final = "dtp_splits"
PERTURBATION_KEY: Final = "dtp_perturbation"
DRUG_KEY: Final = "drug"
SMILES_KEY: Final = "smiles"
DOSE_KEY: Final = "dose"
CELL_KEY: Final = "cell"
PLATE_KEY: Final = "plate"
IS_CONTROL_KEY: Final = "is_control"
CONTROL_LABEL: Final = "DMSO"
PAIRED_CONTROL_KEY: Final = "X_ctl"
CODE_SUFFIX: Final = "_code"
LOG_DOSE_SUFFIX: Final = "_log_dose"
BY_DOSE_SUFFIX: Final = "_by_dose"

# The parts that a split writes.
TRAIN: Final = "train"
VALID: Final = "valid"
TEST: Final = "test"
TEST_DRUG: Final = "test_drug"
TEST_CELL: Final = "test_cell"
CONTROL: Final = "control"
CONTROL_HELD_OUT: Final = "control_held_out"
UNUSED: Final = "unused"
ACYCLIC: Final = "acyclic"

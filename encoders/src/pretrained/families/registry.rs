//! Every family, by name.

use std::path::Path;

use super::{
    BertFamily, ClipFamily, Family, LargestSample, SiglipFamily, VitFamily, Wav2vec2Family, WhisperFamily,
};
use crate::layers::cost::CostTree;
use crate::pretrained::ModelFolder;
use crate::pretrained::bounds;
use crate::pretrained::config::PublishedConfig;
use crate::pretrained::error::{CheckpointError, quoted};
use crate::pretrained::folder::PublishedFolder;
use crate::pretrained::imported::ImportedFolder;
use crate::pretrained::mapping::Imported;
use crate::pretrained::transfer::{self, Import, PretrainedError};

/// Takes the published model of a folder into a new one.
pub type Importer =
    fn(&PublishedFolder, &Path, &Import) -> Result<(ImportedFolder, Imported), PretrainedError>;

/// A family that can be taken in and given out.
#[derive(Clone, Copy, Debug)]
pub struct FamilyEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What `model_type` in a published config says.
    pub model_types: &'static [&'static str],
    /// Takes a published model in.
    pub import: Importer,
    /// Gives an imported one out.
    pub export: fn(&ImportedFolder, &Path) -> Result<(), PretrainedError>,
    /// What the model in a folder costs at its largest sample; of its weights the names and shapes alone are read.
    pub cost: fn(&ModelFolder) -> Result<(LargestSample, CostTree), PretrainedError>,
}

impl FamilyEntry {
    const fn of<F: Family>() -> Self {
        Self {
            name: F::NAME,
            about: F::ABOUT,
            model_types: F::MODEL_TYPES,
            import: transfer::import::<F>,
            export: transfer::export::<F>,
            cost: |folder| {
                let config = folder.family_config::<F>()?;
                let sizes = serde_json::to_value(&config).unwrap_or_default();
                bounds::check(folder.path(), &sizes)?;
                Ok((F::largest_sample(&config), F::cost(&config)))
            },
        }
    }

    /// The family of the published model in a folder.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn of_published(folder: &PublishedFolder) -> Result<&'static Self, CheckpointError> {
        let config = PublishedConfig::open(folder)?;
        let kind = config.text("model_type").unwrap_or_default();
        FAMILIES.iter().find(|family| family.model_types.contains(&kind)).ok_or_else(|| {
            let types = FAMILIES.iter().flat_map(|family| family.model_types);
            let expected = types.map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
            config.wrong("model_type", &format!("one of {expected}"), &quoted(kind))
        })
    }

    /// The family of an imported model.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn of_imported(folder: &ImportedFolder) -> Result<&'static Self, CheckpointError> {
        FAMILIES.iter().find(|family| family.name == folder.family()).ok_or_else(|| {
            let names = FAMILIES.iter().map(|family| quoted(family.name)).collect::<Vec<_>>().join(", ");
            let got = quoted(folder.family());
            CheckpointError::content(folder.path(), "key `family`", format!("one of {names}"), got)
        })
    }
}

/// The registry.
pub static FAMILIES: &[FamilyEntry] = &[
    FamilyEntry::of::<BertFamily>(),
    FamilyEntry::of::<VitFamily>(),
    FamilyEntry::of::<ClipFamily>(),
    FamilyEntry::of::<SiglipFamily>(),
    FamilyEntry::of::<WhisperFamily>(),
    FamilyEntry::of::<Wav2vec2Family>(),
];
